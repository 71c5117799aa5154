import { useQuery } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import { keys, mergeStudy } from "@/lib/jobs/cache";
import { usePolling } from "@/lib/live/usePolling";
import type { Page, Study } from "@/types/api";

/** The list shows so many, the newest. */
const NEWEST = 200;

export function useStudies() {
  return useQuery({
    queryKey: keys.studies,
    queryFn: ({ signal }) => api<Page<Study>>("/studies", { query: { limit: NEWEST }, signal }),
    refetchInterval: usePolling(),
  });
}

export function useStudy(id: string) {
  return useQuery({
    queryKey: keys.study(id),
    queryFn: ({ signal }) => api<Study>(`/studies/${id}`, { signal }),
    refetchInterval: usePolling(),
    structuralSharing: (held, incoming) => mergeStudy(held as Study | undefined, incoming as Study),
  });
}
