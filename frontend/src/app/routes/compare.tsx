import { getRouteApi } from "@tanstack/react-router";
import { ComparePage } from "@/features/compare/components/ComparePage";

const route = getRouteApi("/compare");

export function Compare() {
  const navigate = route.useNavigate();
  const { ids = "", align = "time" } = route.useSearch();
  return (
    <ComparePage
      ids={[...new Set(ids.split(",").filter(Boolean))]}
      align={align}
      onAlign={(next) => void navigate({ search: (held) => ({ ...held, align: next }), replace: true })}
    />
  );
}
