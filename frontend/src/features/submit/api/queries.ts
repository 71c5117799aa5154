import { useMutation } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import type { Job, JsonObject } from "@/types/api";

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
