import { getRouteApi } from "@tanstack/react-router";
import { AgainPage } from "@/features/jobs/components/AgainPage";

const route = getRouteApi("/jobs/$id/again");

export function Again() {
  const { id } = route.useParams();
  const { advised = false } = route.useSearch();
  return <AgainPage key={id} id={id} advised={advised} />;
}
