import { getRouteApi } from "@tanstack/react-router";
import { JobPage } from "@/features/jobs/components/JobPage";

const route = getRouteApi("/jobs/$id");

export function JobRoute() {
  const { id } = route.useParams();
  return <JobPage key={id} id={id} />;
}
