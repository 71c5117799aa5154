import { getRouteApi } from "@tanstack/react-router";
import { StudyPage } from "@/features/studies/components/StudyPage";

const route = getRouteApi("/studies/$id");

export function StudyRoute() {
  return <StudyPage id={route.useParams().id} />;
}
