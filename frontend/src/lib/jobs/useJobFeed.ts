import { useThrottledCallback } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { REFRESH_MS } from "@/config/live";
import { useChannel } from "@/lib/live/useChannel";
import type { Job, OperationsPush, Page } from "@/types/api";
import { applyJob, keys } from "./cache";

type Feed = Pick<Page<Job>, "items">;

/** Keeps lists and studies on the page current from the operations channel. */
export function useJobFeed(): void {
  const client = useQueryClient();
  const refresh = useThrottledCallback(() => {
    void client.invalidateQueries({ queryKey: keys.jobs });
    void client.invalidateQueries({ queryKey: keys.studies });
  }, REFRESH_MS);
  const refreshStudy = useThrottledCallback((id: string) => void client.invalidateQueries({ queryKey: keys.study(id) }), REFRESH_MS);

  useChannel<Feed, OperationsPush>("operations", {
    onSnapshot: (feed) => {
      feed.items.forEach((job) => applyJob(client, job));
      refresh();
    },
    onEvent: ({ job }) => {
      if (!job) return;
      if (applyJob(client, job)) refresh();
      if (job.study_id) refreshStudy(job.study_id);
    },
  });
}
