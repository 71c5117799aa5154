import { getRouteApi } from "@tanstack/react-router";
import { type Look, SessionPage } from "@/features/images/components/SessionPage";

const route = getRouteApi("/images/$id");

export function ImageSession() {
  const navigate = route.useNavigate();
  const { of = "pictures", group = null, picture = null } = route.useSearch();
  const look: Look = { of, group, picture };
  const change = (changes: Partial<Look>) => {
    const next = { ...look, ...changes };
    void navigate({
      search: { of: next.of === "faces" ? "faces" : undefined, group: next.group ?? undefined, picture: next.picture ?? undefined },
      resetScroll: changes.picture !== undefined,
    });
  };
  return <SessionPage id={route.useParams().id} look={look} onLook={change} />;
}
