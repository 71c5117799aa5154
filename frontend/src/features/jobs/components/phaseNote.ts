import { percent } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";
import { isFinal } from "@/lib/jobs/states";
import type { JobState, Phase } from "@/types/api";

/** How long a phase took, how far it is, or how long it may take. */
export function noteOf(phase: Phase, state: JobState): string {
  if (phase.state === "completed" && phase.started_at && phase.finished_at) return duration((Date.parse(phase.finished_at) - Date.parse(phase.started_at)) / 1000);
  if (phase.state === "running" && state === "running" && phase.eta_seconds !== null) return `${percent(phase.percent)}, ${duration(phase.eta_seconds)} left`;
  if (phase.percent > 0) return comesAgain(phase, state) ? `${percent(phase.percent)} so far` : percent(phase.percent);
  if (isFinal(state)) return state === "completed" ? "done" : "not reached";
  return phase.eta_seconds === null ? "to come" : `about ${duration(phase.eta_seconds)}`;
}

/** Phases may take turns (train, evaluate, train, ...): one that waits for its next turn has done a part already. */
export function comesAgain(phase: Phase, state: JobState): boolean {
  return phase.state === "pending" && phase.percent > 0 && !isFinal(state);
}
