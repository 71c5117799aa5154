import { useMutation, useQuery } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import type { Artifact, Job, JsonObject, Kind, Page } from "@/types/api";

export function useKinds() {
  return useQuery({ queryKey: ["kinds"], queryFn: ({ signal }) => api<{ items: Kind[] }>("/kinds", { signal }), staleTime: 60_000 });
}

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

interface NewJob {
  kind: string;
  name?: string;
  config: JsonObject;
  /** The same key twice makes one job: a second click costs nothing. */
  key: string;
}

export function useSubmit() {
  return useMutation({
    mutationFn: ({ key, ...body }: NewJob) => api<Job>("/jobs", { body, headers: { "Idempotency-Key": key } }),
  });
}
