import { arrival, clock, duration } from "@/lib/format/times";
import { useNow } from "@/lib/format/useNow";
import { isFinal } from "@/lib/jobs/states";
import type { Job } from "@/types/api";
import classes from "./Arrival.module.css";

/** The end of the timeline: when it will be done, and between when and when (four times of five). */
export function Arrival({ job }: { job: Job }) {
  const now = useNow();
  const eta = job.state === "running" ? arrival(job, now) : null;
  return (
    <div className={classes.arrival} data-testid="eta" data-over={isFinal(job.state)}>
      <div className={classes.band} aria-hidden="true">
        {eta?.low && eta.high && <Band job={job} />}
      </div>
      <div className={`figures ${classes.text}`}>
        <span className={classes.at}>{eta ? eta.at : endText(job, now)}</span>
        <span className={classes.note}>{eta ? betweenText(eta.low, eta.high, job) : " "}</span>
      </div>
    </div>
  );
}

/** The band on a line from now to the latest time expected. */
function Band({ job }: { job: Job }) {
  const high = job.eta_high_seconds || 1;
  const place = (seconds: number | null) => Math.min(1, (seconds ?? 0) / high);
  return (
    <>
      <span className={classes.range} style={{ transform: `scaleX(${1 - place(job.eta_low_seconds)})` }} />
      <span className={classes.tick} style={{ transform: `translateX(${place(job.eta_seconds) * 100}cqw)` }} />
    </>
  );
}

function betweenText(low: string | null, high: string | null, job: Job): string {
  return low && high ? `between ${low} and ${high}` : `in ${duration(job.eta_seconds)}`;
}

function endText(job: Job, now: number): string {
  if (job.finished_at && isFinal(job.state)) return `${job.state} ${clock(Date.parse(job.finished_at), now)}`;
  return job.state === "running" ? "estimating" : job.state;
}
