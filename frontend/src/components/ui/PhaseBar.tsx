import { isFinal, toneOf } from "@/lib/jobs/states";
import { useLead } from "@/lib/progress/useLead";
import { percent } from "@/lib/format/numbers";
import type { Job, Phase } from "@/types/api";
import classes from "./PhaseBar.module.css";

type Progress = Pick<Job, "id" | "state" | "attempt" | "percent" | "phases" | "updated_at">;

interface PhaseBarProps {
  job: Progress;
  /** `thin` for rows, `tall` for the job page's timeline. */
  size?: "thin" | "tall";
}

/** A job's phases side by side, as wide as they weigh, filled as they go. */
export function PhaseBar({ job, size = "thin" }: PhaseBarProps) {
  const phases = phasesOf(job);
  return (
    <div
      className={classes.bar}
      data-size={size}
      data-tone={toneOf(job.state)}
      role="progressbar"
      aria-valuenow={job.percent}
      aria-valuetext={percent(job.percent)}
      aria-label="Progress"
    >
      {phases.map((phase) => (
        <Segment key={phase.name} phase={phase} job={job} />
      ))}
    </div>
  );
}

function Segment({ phase, job }: { phase: Phase; job: Progress }) {
  const style = useLead({
    percent: job.state === "completed" ? 100 : phase.percent,
    run: `${job.id}/${job.attempt}`,
    moving: job.state === "running",
    updatedAt: job.updated_at,
  });
  return (
    <div className={classes.segment} style={{ flexGrow: phase.weight }} data-state={phase.state}>
      <div className={classes.fill} style={style} />
    </div>
  );
}

const WHOLE = { name: "", title: "", weight: 1, counters: [], rate: null, rate_unit: null, eta_seconds: null, started_at: null, finished_at: null, error: null };

/** Phases that take part; a job whose plan is not told yet is one piece. */
export function phasesOf(job: Pick<Job, "state" | "percent" | "phases">): Phase[] {
  const running = job.phases.filter((phase) => phase.weight > 0 && phase.state !== "skipped");
  if (running.length > 0) return running;
  const state = isFinal(job.state) ? "completed" : "pending";
  return [{ ...WHOLE, state, percent: job.percent }];
}
