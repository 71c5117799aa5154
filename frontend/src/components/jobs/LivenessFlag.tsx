import { isActive } from "@/lib/jobs/states";
import { useNow } from "@/lib/format/useNow";
import { duration } from "@/lib/format/times";
import type { Job } from "@/types/api";
import classes from "./LivenessFlag.module.css";

const TROUBLES: ReadonlySet<string> = new Set(["slow", "stalled", "lost"]);

/** True for a job under way that does not move as it should. */
export const isTroubled = (job: Job): boolean => isActive(job.state) && TROUBLES.has(job.liveness ?? "");

/** `stalled for 2 min 05 s`: in words before what the job was doing. */
export function LivenessFlag({ job }: { job: Job }) {
  const now = useNow();
  return (
    <span className={classes.flag} data-liveness={job.liveness}>
      {`${job.liveness} for ${duration((now - Date.parse(job.updated_at)) / 1000)}`}
    </span>
  );
}
