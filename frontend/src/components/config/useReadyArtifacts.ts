import { useQuery } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import type { Artifact, Page } from "@/types/api";

/** The picker offers so many, the newest. */
const CHOICES = 500;

/** Artifacts of a type that a job can take. */
export function useReadyArtifacts(type: string) {
  return useQuery({
    queryKey: ["artifacts", { type, state: "ready" }],
    queryFn: ({ signal }) => api<Page<Artifact>>("/artifacts", { query: { type, state: "ready", limit: CHOICES }, signal }),
    select: (page) => page.items,
  });
}
