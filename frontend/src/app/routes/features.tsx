import { getRouteApi } from "@tanstack/react-router";
import { FeaturesPage } from "@/features/features/components/FeaturesPage";
import { lookOf, searchOf } from "@/features/features/look";

const route = getRouteApi("/features/$id");

export function Features() {
  const navigate = route.useNavigate();
  const look = lookOf(route.useSearch());
  return (
    <FeaturesPage
      id={route.useParams().id}
      look={look}
      onLook={(changes) => void navigate({ search: searchOf({ ...look, ...changes }), replace: !("feature" in changes), resetScroll: false })}
    />
  );
}
