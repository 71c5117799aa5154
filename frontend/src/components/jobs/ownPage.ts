import type { Artifact } from "@/types/api";

type OwnPage = "/saes/$id" | "/features/$id" | "/images/$id" | "/strategies/$id";

const OWN_PAGES: Record<string, OwnPage | undefined> = {
  sae: "/saes/$id",
  feature_index: "/features/$id",
  images: "/images/$id",
  configuration: "/strategies/$id",
};

/** Where an artifact that can be looked at has a page of its own. */
export const ownPage = ({ type, state }: Pick<Artifact, "type" | "state">): OwnPage | undefined => (state === "ready" ? OWN_PAGES[type] : undefined);
