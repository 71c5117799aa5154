import { getRouteApi } from "@tanstack/react-router";
import { JobsPage } from "@/features/jobs/components/JobsPage";

const route = getRouteApi("/trainings");

export function Trainings() {
  const navigate = route.useNavigate();
  const { pick, ...filter } = route.useSearch();
  return (
    <JobsPage
      filter={filter}
      onFilter={(next) => void navigate({ search: { ...next, pick }, replace: true })}
      picked={pick?.split(",") ?? []}
      onPick={(ids) => void navigate({ search: { ...filter, pick: ids.join(",") || undefined }, replace: true, resetScroll: false })}
    />
  );
}
