import type { JobState, StudyState } from "@/types/api";

/** What a state means to the eye: the only place where states get colours and words. */
export type Tone = "idle" | "active" | "good" | "warn" | "bad";

const TONES: Record<JobState | StudyState, Tone> = {
  waiting: "idle",
  queued: "idle",
  running: "active",
  pausing: "warn",
  paused: "warn",
  cancelling: "warn",
  completed: "good",
  failed: "bad",
  cancelled: "idle",
};

const FINAL: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);
const ACTIVE: ReadonlySet<string> = new Set(["running", "pausing", "cancelling"]);

export const toneOf = (state: JobState | StudyState): Tone => TONES[state] ?? "idle";
export const isFinal = (state: JobState | StudyState): boolean => FINAL.has(state);
export const isActive = (state: JobState | StudyState): boolean => ACTIVE.has(state);

export type Action = "pause" | "resume" | "cancel" | "retry";

/** What may be done to a job in each state. The server has the last word. */
export const ACTIONS: Record<JobState, Action[]> = {
  waiting: ["cancel"],
  queued: ["cancel"],
  running: ["pause", "cancel"],
  pausing: ["cancel"],
  paused: ["resume", "cancel"],
  cancelling: [],
  completed: ["retry"],
  failed: ["retry"],
  cancelled: ["retry"],
};
