import { bytes } from "@/lib/format/numbers";
import { isActive, isFinal } from "@/lib/jobs/states";
import type { Job, Operations } from "@/types/api";

type Host = Operations["hosts"][number];
type Failure = Operations["failures"][number];

/** What runs by the host it runs on, and what does not run by the reason. */
export interface Groups {
  hosts: { name: string; jobs: Job[] }[];
  paused: Job[];
  queued: Job[];
  waiting: Job[];
  ended: Job[];
}

export function groupsOf({ active, hosts }: { active: Job[]; hosts: Pick<Host, "name">[] }): Groups {
  const running = active.filter((job) => isActive(job.state));
  const names = [...new Set([...hosts.map((host) => host.name), ...running.map(hostOf)])];
  return {
    hosts: names.map((name) => ({ name, jobs: running.filter((job) => hostOf(job) === name) })),
    paused: active.filter((job) => job.state === "paused"),
    queued: active.filter((job) => job.state === "queued").toSorted(byQueueTime),
    waiting: active.filter((job) => job.state === "waiting"),
    ended: active.filter((job) => isFinal(job.state)),
  };
}

/** Where a job runs; its process tells it once it has begun. */
export function hostOf(job: Job): string {
  const host = job.environment?.host;
  return typeof host === "string" ? host : "starting";
}

/** In the order in which they are taken: the first come first, whatever is more urgent before. */
const byQueueTime = (a: Job, b: Job): number => b.priority - a.priority || (a.queued_at ?? "").localeCompare(b.queued_at ?? "");

/** `43 % of 2 CPUs · 1.2 GB of 4.1 GB · 2 GPUs`; what nobody measures is left out. */
export function hostText({ cpu_percent: cpu, cpus, memory_used_bytes: used, memory_mb: memory, gpus }: Host): string {
  const cores = cpu === null ? `${cpus} CPUs` : `${Math.round(cpu)} % of ${cpus} CPUs`;
  const ram = bytes(memory * 2 ** 20);
  const cards = gpus.length > 0 ? `${gpus.length} ${gpus.length === 1 ? "GPU" : "GPUs"}` : "no GPU";
  return [cores, used === null ? ram : `${bytes(used)} of ${ram}`, cards].join(" · ");
}

/** Failures that are not among what ended a short while ago. */
export function earlierFailures({ active, failures }: Pick<Operations, "active" | "failures">): Failure[] {
  const shown = new Set(active.map((job) => job.id));
  return failures.filter((failure) => !shown.has(failure.job_id));
}
