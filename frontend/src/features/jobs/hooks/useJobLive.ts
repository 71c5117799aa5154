import { useQueryClient } from "@tanstack/react-query";
import { applyJob } from "@/lib/jobs/cache";
import { useChannel } from "@/lib/live/useChannel";
import type { CheckpointPush, Job, JobPush } from "@/types/api";
import { checkpoints } from "../api/queries";

/** Keeps one job and its checkpoints current from what is pushed. */
export function useJobLive(id: string): void {
  const client = useQueryClient();
  useChannel<Job, JobPush>(`jobs/${id}/progress`, {
    onSnapshot: (job) => {
      applyJob(client, job);
      void client.invalidateQueries(checkpoints(id));
    },
    onEvent: ({ job }) => applyJob(client, job),
  });
  useChannel<unknown, CheckpointPush>(`trainings/${id}/checkpoints`, {
    onEvent: () => void client.invalidateQueries(checkpoints(id)),
  });
}
