import { getRouteApi } from "@tanstack/react-router";
import { ConfigurationPage } from "@/features/strategy/components/ConfigurationPage";

const route = getRouteApi("/strategies/$id");

export function ConfigurationRoute() {
  return <ConfigurationPage id={route.useParams().id} />;
}
