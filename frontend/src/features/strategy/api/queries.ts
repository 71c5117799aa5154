import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import { usePolling } from "@/lib/live/usePolling";
import type { ComparedConfigurations, Configuration, Job, Metrics, Page, WholeConfiguration } from "@/types/api";

export const KIND = "strategy.optimize";
/** The list shows so many, the newest. */
const NEWEST = 200;
const RUNNING_MS = 4000;
const POINTS = 2000;
const ALL = ["configurations"] as const;

export function useConfigurations() {
  return useQuery({
    queryKey: [...ALL, "list"],
    queryFn: ({ signal }) => api<Page<Configuration>>("/configurations", { query: { limit: NEWEST }, signal }),
    refetchInterval: RUNNING_MS,
  });
}

export function useConfiguration(id: string) {
  return useQuery({
    queryKey: [...ALL, id],
    queryFn: ({ signal }) => api<WholeConfiguration>(`/configurations/${id}`, { signal }),
    refetchInterval: usePolling(),
  });
}

export function useComparedConfigurations(ids: string[]) {
  return useQuery({
    queryKey: [...ALL, "compare", ids],
    queryFn: ({ signal }) => api<ComparedConfigurations>("/configurations/compare", { query: { ids: ids.join(",") }, signal }),
    enabled: ids.length >= 2,
    placeholderData: (held) => held,
  });
}

/** Searches that are not over yet. */
export function useSearches() {
  return useQuery({
    queryKey: ["searches"],
    queryFn: async ({ signal }) => {
      const page = await api<Page<Job>>("/jobs", { query: { kind: KIND, limit: 50 }, signal });
      return page.items.filter((job) => !["completed", "failed", "cancelled"].includes(job.state));
    },
    refetchInterval: RUNNING_MS,
  });
}

/** Score and best score of each episode of the search that made a configuration. */
export function useSearchHistory(jobId: string | null) {
  return useQuery({
    queryKey: ["search-history", jobId],
    queryFn: ({ signal }) => api<Metrics>(`/jobs/${jobId}/metrics`, { query: { names: "score,best_score", max_points: POINTS }, signal }),
    enabled: jobId !== null,
    staleTime: Infinity,
  });
}

export function useActivate(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (active: boolean) => api<WholeConfiguration>(`/configurations/${id}/${active ? "activate" : "deactivate"}`, { method: "POST" }),
    onSuccess: () => client.invalidateQueries({ queryKey: ALL }),
  });
}

export function useRerun(id: string) {
  return useMutation({ mutationFn: () => api<Job>(`/configurations/${id}/rerun`, { method: "POST" }) });
}
