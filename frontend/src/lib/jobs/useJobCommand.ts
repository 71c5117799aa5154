import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import { applyJob } from "./cache";
import type { Action } from "./states";
import type { Job, JsonObject } from "@/types/api";

export interface Command {
  action: Action;
  /** For a retry: take the advice the failure came with. */
  advised?: boolean;
  /** For a retry: what to change of the config. */
  config?: JsonObject;
}

/** Cancel, pause, resume, retry: by REST alone. A retry answers with the new job. */
export function useJobCommand(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ action, ...body }: Command) => api<Job | undefined>(`/jobs/${id}/${action}`, { body }),
    onSuccess: (job) => job?.id && applyJob(client, job),
  });
}
