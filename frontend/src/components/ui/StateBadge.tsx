import { toneOf } from "@/lib/jobs/states";
import type { JobState, StudyState } from "@/types/api";
import classes from "./StateBadge.module.css";

/** A state as a mark and a word; the mark's shape tells tones apart without colour. */
export function StateBadge({ state }: { state: JobState | StudyState }) {
  return (
    <span className={classes.badge} data-tone={toneOf(state)}>
      <StateMark state={state} />
      {state}
    </span>
  );
}

/** The mark alone: hollow waits, half runs or pauses, full has ended well, cross has failed. */
export function StateMark({ state }: { state: JobState | StudyState }) {
  const tone = toneOf(state);
  return (
    <svg className={classes.mark} data-tone={tone} viewBox="0 0 12 12" role="img" aria-label={state}>
      <Shape tone={tone} state={state} />
    </svg>
  );
}

function Shape({ tone, state }: { tone: string; state: string }) {
  if (tone === "good") return <path d="M2.2 6.4 4.9 9.1 9.9 3.2" fill="none" stroke="currentColor" strokeWidth="1.8" />;
  if (tone === "bad") return <path d="M2.8 2.8 9.2 9.2M9.2 2.8 2.8 9.2" fill="none" stroke="currentColor" strokeWidth="1.8" />;
  if (tone === "warn") return <path d="M4 2.5v7M8 2.5v7" fill="none" stroke="currentColor" strokeWidth="1.8" />;
  if (tone === "active") return <circle cx="6" cy="6" r="4" fill="currentColor" />;
  if (state === "cancelled") return <path d="M2 6h8" fill="none" stroke="currentColor" strokeWidth="1.8" />;
  return <circle cx="6" cy="6" r="3.6" fill="none" stroke="currentColor" strokeWidth="1.4" />;
}
