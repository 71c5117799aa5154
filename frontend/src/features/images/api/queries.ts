import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import type { Artifact, Job, Page } from "@/types/api";
import { type Clusters, type Face, type Picture, type SessionSummary, pieceOf } from "../session";

export const KIND = "images.index";
/** The list shows so many, the newest. */
const NEWEST = 200;
const RUNNING_MS = 4000;

/** What sessions have left. */
export function useSessions() {
  return useQuery({
    queryKey: ["image-sessions"],
    queryFn: ({ signal }) => api<Page<Artifact>>("/artifacts", { query: { type: "images", state: "ready", limit: NEWEST }, signal }),
    refetchInterval: RUNNING_MS,
  });
}

/** Sessions that are not over yet. */
export function useRunning() {
  return useQuery({
    queryKey: ["image-sessions", "running"],
    queryFn: async ({ signal }) => {
      const page = await api<Page<Job>>("/jobs", { query: { kind: KIND, limit: 50 }, signal });
      return page.items.filter((job) => !["completed", "failed", "cancelled"].includes(job.state));
    },
    refetchInterval: RUNNING_MS,
  });
}

export function useSession(id: string) {
  return useQuery({ queryKey: ["artifact", id], queryFn: ({ signal }) => api<Artifact>(`/artifacts/${id}`, { signal }) });
}

/** One JSON file of a session; it never changes. */
function fileQuery<T>(id: string, path: string) {
  return queryOptions({
    queryKey: ["artifact", id, "file", path],
    queryFn: ({ signal }) => api<T>(`/artifacts/${id}/file`, { query: { path }, signal }),
    staleTime: Infinity,
  });
}

export const useSummary = (id: string) => useQuery(fileQuery<SessionSummary>(id, "session.json"));

export const useClusters = (id: string) => useQuery(fileQuery<Clusters>(id, "clusters.json"));

export function usePicture(id: string, no: number): Picture | undefined {
  const { path, place } = pieceOf("pictures", no);
  return useQuery(fileQuery<Picture[]>(id, path)).data?.[place];
}

/** Asks for the picture a face is on. */
export function usePictureOfFace(id: string): (no: number) => Promise<number> {
  const client = useQueryClient();
  return async (no) => {
    const { path, place } = pieceOf("faces", no);
    const faces = await client.fetchQuery(fileQuery<Face[]>(id, path));
    return faces[place]?.picture ?? 0;
  };
}

/** The same session again, from a phase on. */
export function useRestart(jobId: string | null) {
  return useMutation({
    mutationFn: (restart_from: string) => api<Job>(`/jobs/${jobId}/retry`, { body: { config: { restart_from } } }),
  });
}
