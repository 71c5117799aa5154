import { getRouteApi } from "@tanstack/react-router";
import { ArtifactsPage } from "@/features/artifacts/components/ArtifactsPage";

const route = getRouteApi("/artifacts");

export function Artifacts() {
  const navigate = route.useNavigate();
  const { type = "" } = route.useSearch();
  return <ArtifactsPage type={type} onType={(next) => void navigate({ search: { type: next || undefined }, replace: true })} />;
}
