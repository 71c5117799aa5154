import { infiniteQueryOptions, queryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { CURVE_POINTS, HISTORY_MS, LIVENESS_MS } from "@/config/live";
import { api } from "@/lib/api/client";
import { type JobPages, keys, mergePages } from "@/lib/jobs/cache";
import { isActive } from "@/lib/jobs/states";
import { usePolling } from "@/lib/live/usePolling";
import type { Artifact, Checkpoint, HistoryPoint, Job, Metrics, Page } from "@/types/api";

export interface JobFilter {
  state?: string;
  kind?: string;
  q?: string;
}

const PAGE_SIZE = 50;

/** What the list's filter calls by one word; the API's own states work in the address too. */
const STATE_GROUPS: Record<string, string> = {
  active: "running,pausing,paused,cancelling",
  waiting: "waiting,queued",
};

const isUnderWay = (job: Job): boolean => isActive(job.state);

const jobList = (filter: JobFilter) =>
  infiniteQueryOptions({
    queryKey: keys.jobList(filter),
    queryFn: ({ pageParam, signal }) => api<Page<Job>>("/jobs", { query: { ...filter, state: STATE_GROUPS[filter.state ?? ""] ?? filter.state, cursor: pageParam, limit: PAGE_SIZE }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    structuralSharing: (held, incoming) => mergePages(held as JobPages | undefined, incoming as JobPages),
  });

export function useJobs(filter: JobFilter) {
  const polling = usePolling();
  return useInfiniteQuery({
    ...jobList(filter),
    refetchInterval: ({ state }) => polling || (state.data?.pages.some((page) => page.items.some(isUnderWay)) ? LIVENESS_MS : false),
    placeholderData: (held) => held,
  });
}

export function useJob(id: string) {
  const polling = usePolling();
  return useQuery({
    queryKey: keys.job(id),
    queryFn: ({ signal }) => api<Job>(`/jobs/${id}`, { signal }),
    refetchInterval: ({ state }) => polling || (state.data && isUnderWay(state.data) ? LIVENESS_MS : false),
  });
}

export const curves = (id: string) =>
  queryOptions({
    queryKey: ["metrics", id],
    queryFn: ({ signal }) => api<Metrics>(`/jobs/${id}/metrics`, { query: { max_points: CURVE_POINTS, layers: true }, signal }),
    structuralSharing: false,
  });

export const checkpoints = (id: string) =>
  queryOptions({
    queryKey: ["checkpoints", id],
    queryFn: ({ signal }) => api<{ items: Checkpoint[] }>(`/jobs/${id}/checkpoints`, { signal }),
  });

/** What a completed job made. */
export const resultsOf = (id: string) =>
  queryOptions({
    queryKey: ["artifacts", { job_id: id }],
    queryFn: ({ signal }) => api<Page<Artifact>>("/artifacts", { query: { job_id: id }, signal }),
  });

/** A job's way so far; its newest moment is the job itself. */
export function useHistory(id: string, isOver: boolean) {
  return useQuery({
    queryKey: ["history", id],
    queryFn: ({ signal }) => api<{ items: HistoryPoint[] }>(`/jobs/${id}/history`, { signal }),
    refetchInterval: isOver ? false : HISTORY_MS,
  });
}
