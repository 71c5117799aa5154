import { getRouteApi } from "@tanstack/react-router";
import { StrategiesPage } from "@/features/strategy/components/StrategiesPage";

const route = getRouteApi("/strategies");

export function Strategies() {
  const navigate = route.useNavigate();
  const { compare = "" } = route.useSearch();
  const pick = (ids: string[]) => void navigate({ search: { compare: ids.join(",") || undefined }, replace: true });
  return <StrategiesPage picked={compare ? compare.split(",") : []} onPick={pick} />;
}
