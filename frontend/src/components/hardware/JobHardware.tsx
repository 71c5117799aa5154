import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Section } from "@/components/ui/Page";
import { JOB_HARDWARE_MS } from "@/config/live";
import { api } from "@/lib/api/client";
import { useChannel } from "@/lib/live/useChannel";
import { usePolling } from "@/lib/live/usePolling";
import { isActive } from "@/lib/jobs/states";
import type { Job, JobResources, JobUsedPush } from "@/types/api";
import { HardwareCharts } from "./HardwareCharts";
import { type Used, jobCharts, withUsed } from "./jobCharts";
import { useHostMeanwhile } from "./useHostMeanwhile";

const NONE: Used[] = [];

/** What a job's processes used, over its time, with what its machine did meanwhile. */
export function JobHardware({ job }: { job: Job }) {
  const key = ["resources", job.id];
  const client = useQueryClient();
  const live = isActive(job.state) && job.started_at !== null;
  const [tail, setTail] = useState<Used[]>(NONE);
  const polling = usePolling();
  const { data, isPending } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => api<JobResources>(`/jobs/${job.id}/resources`, { signal }),
    refetchInterval: live ? polling || JOB_HARDWARE_MS : false,
    enabled: job.started_at !== null,
  });
  useChannel<unknown, JobUsedPush>(live ? `jobs/${job.id}/resources` : null, {
    onSnapshot: () => void client.invalidateQueries({ queryKey: key }),
    onEvent: ({ used }) => setTail((held) => [...held.filter((item) => item.at > (data?.times.at(-1) ?? 0)), usedOf(used)]),
  });
  const shown = useMemo(() => data && withUsed(data, tail), [data, tail]);
  const host = useHostMeanwhile(shown, live);
  const charts = useMemo(() => (shown ? jobCharts(shown, host, job.environment) : []), [shown, host, job.environment]);

  if (job.started_at === null) return null;
  const first = shown?.times[0];
  const last = shown?.times.at(-1);
  return (
    <Section title="Hardware while it ran" aside={shown?.estimated && <span className="dim">GPU figures are estimated: its process ids cannot be seen here</span>}>
      {shown && first !== undefined && last !== undefined ? (
        <HardwareCharts times={shown.times} charts={charts} range={[first, Math.max(first + 1, last)]} interval={intervalOf(shown.times)} sync={`job ${job.id}`} />
      ) : (
        <p className="dim">{isPending ? " " : live ? "Not measured yet." : "It was over before it could be measured."}</p>
      )}
    </Section>
  );
}

function usedOf({ at, ...gauges }: JobUsedPush["used"]): Used {
  return { at: Date.parse(at) / 1000, gauges };
}

/** The usual distance of two samples. */
function intervalOf(times: number[]): number {
  const distances = times.slice(1).map((time, i) => time - times[i]!);
  return distances.length ? distances.sort((a, b) => a - b)[Math.floor(distances.length * 0.9)]! : 1;
}
