import { useMutation, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import { usePolling } from "@/lib/live/usePolling";
import type { Artifact, Job, Page } from "@/types/api";
import type { Evaluation } from "../meta";

/** A list shows so many, the newest. */
const NEWEST = 500;

interface Filter {
  type?: string;
  /** Only what was made from this artifact. */
  made_from?: string;
}

export function useArtifacts(filter: Filter) {
  return useQuery({
    queryKey: ["artifacts", filter],
    queryFn: ({ signal }) => api<Page<Artifact>>("/artifacts", { query: { ...filter, limit: NEWEST }, signal }),
    refetchInterval: usePolling(),
    placeholderData: (held) => held,
  });
}

export function useArtifact(id: string) {
  return useQuery({ queryKey: ["artifact", id], queryFn: ({ signal }) => api<Artifact>(`/artifacts/${id}`, { signal }) });
}

/** The job that made an artifact, while it is still known. */
export function useMaker(jobId: string | null | undefined) {
  return useQuery({ queryKey: ["job", jobId], queryFn: ({ signal }) => api<Job>(`/jobs/${jobId}`, { signal }), enabled: Boolean(jobId) });
}

/** The files of evaluations; they never change. */
export function useEvaluations(ids: string[]) {
  return useQueries({
    queries: ids.map((id) => ({
      queryKey: ["artifact", id, "file", "evaluation.json"],
      queryFn: ({ signal }: { signal: AbortSignal }) => api<Evaluation>(`/artifacts/${id}/file`, { query: { path: "evaluation.json" }, signal }),
      staleTime: Infinity,
    })),
  });
}

/** Deletes an artifact and its files, which the server refuses while a job that is kept was given it. */
export function useDeleteArtifact() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api<undefined>(`/artifacts/${id}`, { method: "DELETE" }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["artifacts"] }),
  });
}
