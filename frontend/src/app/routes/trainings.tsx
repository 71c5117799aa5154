import { getRouteApi } from "@tanstack/react-router";
import { JobsPage } from "@/features/jobs/components/JobsPage";

const route = getRouteApi("/trainings");

export function Trainings() {
  const navigate = route.useNavigate();
  return <JobsPage filter={route.useSearch()} onFilter={(search) => void navigate({ search, replace: true })} />;
}
