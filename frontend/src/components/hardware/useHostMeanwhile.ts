import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { JOB_HARDWARE_MS } from "@/config/live";
import { api } from "@/lib/api/client";
import { type Track, trackOf } from "@/lib/hardware/tracks";
import type { HostHistory, JobResources } from "@/types/api";

/** What the machine of a job's newest attempt did while the job ran. */
export function useHostMeanwhile(job: JobResources | undefined, live: boolean): Track | null {
  const host = job?.attempts.at(-1)?.host;
  const from = job?.times[0];
  const to = live ? undefined : job?.times.at(-1);
  const { data } = useQuery({
    queryKey: ["system", "history", host, from, to],
    queryFn: ({ signal }) => api<{ items: HostHistory[] }>("/system/history", { query: { host, from, to, gauges: "cpu.percent,memory.used_bytes" }, signal }),
    enabled: host !== undefined && from !== undefined,
    refetchInterval: live ? JOB_HARDWARE_MS : false,
  });
  return useMemo(() => (data?.items[0] ? trackOf(data.items[0]) : null), [data]);
}
