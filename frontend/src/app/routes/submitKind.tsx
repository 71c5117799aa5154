import { getRouteApi } from "@tanstack/react-router";
import { SubmitPage } from "@/features/submit/components/SubmitPage";

const route = getRouteApi("/submit/$kind");

export function SubmitKind() {
  const { kind } = route.useParams();
  return <SubmitPage key={kind} kind={kind} />;
}
