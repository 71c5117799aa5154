import { queryOptions } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import type { Host, HostHistory, HostNow } from "@/types/api";

/** Cores and load are shown as they are now: their past is not asked for. */
const CHARTED = "cpu.percent,memory,disk.read_bytes_per_second,disk.written_bytes_per_second,network,gpu";

export interface Current {
  interval_seconds: number;
  items: HostNow[];
}

export const hosts = queryOptions({
  queryKey: ["hosts"],
  queryFn: ({ signal }) => api<{ items: Host[] }>("/system/hosts", { signal }),
});

export const current = queryOptions({
  queryKey: ["system", "current"],
  queryFn: ({ signal }) => api<Current>("/system/current", { signal }),
});

export const lastHour = queryOptions({
  queryKey: ["system", "history", "hour"],
  queryFn: ({ signal }) => api<{ items: HostHistory[] }>("/system/history", { query: { gauges: CHARTED }, signal }),
});
