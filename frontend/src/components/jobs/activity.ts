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

/** One line that says what a job does now, or why it does nothing. */
export function activity(job: Job): string {
  if (job.state === "failed") return job.error?.message ?? "failed";
  if (job.state === "waiting") return waitingText(job.waiting_for);
  if (job.state === "queued") return "in the queue";
  const parts = [job.state === "completed" ? "" : phaseTitle(job), counters(job.counters)];
  return parts.filter(Boolean).join(" · ") || (job.message ?? "");
}

function waitingText(waiting: Job["waiting_for"]): string {
  const names = Array.isArray(waiting) ? waiting.join(", ") : waiting;
  return names ? `waits for ${names}` : "waits";
}

export const nameOf = (job: Pick<Job, "name" | "kind">): string => job.name || job.kind;
