import { useQueries, useQuery } from "@tanstack/react-query";
import { COMPARE_MS } from "@/config/live";
import { api } from "@/lib/api/client";
import { keys } from "@/lib/jobs/cache";
import { isFinal } from "@/lib/jobs/states";
import type { Comparison, HistoryPoint, Job } from "@/types/api";
import type { Align } from "../axis";

/** Jobs on one axis; read again while one of them goes on. */
export function useComparison(ids: string[], align: Align) {
  return useQuery({
    queryKey: ["compare", ids, align],
    queryFn: ({ signal }) => api<Comparison>("/compare", { query: { ids: ids.join(","), align }, signal }),
    placeholderData: (held) => held,
    refetchInterval: ({ state }) => (state.data?.jobs.every((job) => isFinal(job.state)) ? false : COMPARE_MS),
  });
}

/** The jobs themselves, as far as they are known, in the order of `ids`. */
export function useJobsOf(ids: string[]): (Job | undefined)[] {
  return useQueries({
    queries: ids.map((id) => ({
      queryKey: keys.job(id),
      queryFn: ({ signal }: { signal: AbortSignal }) => api<Job>(`/jobs/${id}`, { signal }),
      refetchInterval: COMPARE_MS,
    })),
    combine: (results) => results.map((result) => result.data),
  });
}

/** Where the jobs stood over time, in the order of `ids`. */
export function useHistories(ids: string[]): (HistoryPoint[] | undefined)[] {
  return useQueries({
    queries: ids.map((id) => ({
      queryKey: ["history", id],
      queryFn: ({ signal }: { signal: AbortSignal }) => api<{ items: HistoryPoint[] }>(`/jobs/${id}/history`, { signal }),
      refetchInterval: COMPARE_MS,
    })),
    combine: (results) => results.map((result) => result.data?.items),
  });
}
