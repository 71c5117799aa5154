import { isActive, isFinal } from "@/lib/jobs/states";
import type { Job, Operations } from "@/types/api";

/** What runs by the host it runs on, and what does not run by the reason. */
export interface Groups {
  hosts: { name: string; jobs: Job[] }[];
  paused: Job[];
  queued: Job[];
  waiting: Job[];
  ended: Job[];
}

export function groupsOf({ active, hosts }: Pick<Operations, "active" | "hosts">): Groups {
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

export interface Queue {
  name: string;
  running: number;
  queued: number;
  slots: number;
  /** When the job that has waited longest was queued. */
  since: string | null;
}

/** Every queue that a worker serves or a job is in. */
export function queuesOf({ active, queues, hosts }: Operations): Queue[] {
  const slots = new Map<string, number>();
  for (const host of hosts) for (const [queue, number] of Object.entries(host.slots)) slots.set(queue, (slots.get(queue) ?? 0) + number);
  const told = new Map(queues.map((queue) => [queue.queue, queue]));
  const names = [...new Set([...slots.keys(), ...told.keys()])].toSorted();
  return names.map((name) => ({
    name,
    running: told.get(name)?.running ?? 0,
    queued: told.get(name)?.queued ?? 0,
    slots: slots.get(name) ?? 0,
    since: firstOf(active.filter((job) => job.state === "queued" && job.queue === name).map((job) => job.queued_at)),
  }));
}

const firstOf = (times: (string | null)[]): string | null => times.filter((at) => at !== null).toSorted()[0] ?? null;
