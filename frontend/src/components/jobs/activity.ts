import { counters } from "@/lib/format/numbers";
import type { Job } from "@/types/api";

/** The title of the phase a job is in. */
export function phaseTitle(job: Pick<Job, "phase" | "phases">): string {
  if (job.phase === null) return "";
  return titleOf(job.phases.find((item) => item.name === job.phase) ?? { name: job.phase });
}

export function titleOf(phase: { name: string; title?: string }): string {
  if (phase.title) return phase.title;
  const words = phase.name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** One line that says what a job does now, or why it does nothing; `names` tells other jobs' names by id. */
export function activity(job: Job, names?: ReadonlyMap<string, string>): string {
  if (job.state === "failed") return job.error?.message ?? "failed";
  if (job.state === "waiting") return waitingText(job.waiting_for, names);
  if (job.state === "queued") return queuedText(job);
  const parts = [job.state === "completed" ? "" : phaseTitle(job), counters(job.counters)];
  return parts.filter(Boolean).join(" · ") || (job.message ?? "");
}

/** A queued job waits for its turn, or for what no worker can give. */
export const queuedText = ({ waiting_for: [lack] }: Pick<Job, "waiting_for">): string => (lack ? `waits for ${lack}` : "in the queue");

/** What a job waits for, by name where all names are known, else how many. */
export function waitingText(ids: string[], names: ReadonlyMap<string, string> = new Map()): string {
  const known = ids.flatMap((id) => names.get(id) ?? []);
  if (known.length === ids.length && ids.length > 0) return `waits for ${known.join(", ")}`;
  return ids.length === 1 ? "waits for another job" : `waits for ${ids.length} other jobs`;
}

export const nameOf = (job: Pick<Job, "name" | "kind">): string => job.name || job.kind;
