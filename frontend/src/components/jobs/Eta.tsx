import { arrival, clock, duration } from "@/lib/format/times";
import { useNow } from "@/lib/format/useNow";
import { isFinal } from "@/lib/jobs/states";
import type { Job } from "@/types/api";

type Timed = Pick<Job, "state" | "eta_seconds" | "eta_low_seconds" | "eta_high_seconds" | "started_at" | "finished_at" | "updated_at">;

/** Until when: the clock time and what is left of it; for what has ended, when and after how long. */
export function Eta({ job, className }: { job: Timed; className?: string }) {
  const now = useNow();
  const [first, second] = isFinal(job.state) ? ended(job, now) : expected(job, now);
  return (
    <div className={className}>
      <div>{first}</div>
      {second && <div className="dim">{second}</div>}
    </div>
  );
}

function ended(job: Timed, now: number): [string, string | null] {
  if (!job.finished_at) return ["–", null];
  return [clock(Date.parse(job.finished_at), now), job.started_at && `took ${duration(seconds(job.started_at, job.finished_at))}`];
}

function expected(job: Timed, now: number): [string, string | null] {
  const eta = job.state === "running" ? arrival(job, now) : null;
  if (!eta) return ["–", null];
  return [eta.at, `in ${duration(left(job, now))}`];
}

/** Seconds left of an estimate made a while ago. */
function left(job: Timed, now: number): number {
  return (job.eta_seconds ?? 0) - Math.max(0, now - Date.parse(job.updated_at)) / 1000;
}

const seconds = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 1000;
