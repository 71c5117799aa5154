import { getRouteApi } from "@tanstack/react-router";
import { SaePage } from "@/features/artifacts/components/SaePage";

const route = getRouteApi("/saes/$id");

export function SaeRoute() {
  const { id } = route.useParams();
  return <SaePage key={id} id={id} />;
}
