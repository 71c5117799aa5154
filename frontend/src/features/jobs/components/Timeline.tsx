import { titleOf } from "@/components/jobs/activity";
import { PhaseBar, phasesOf } from "@/components/ui/PhaseBar";
import { percent } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";
import type { Job, Phase } from "@/types/api";
import { Arrival } from "./Arrival";
import classes from "./Timeline.module.css";

/** The phases by weight, filled as they go, and at the end the time it will be, with its band. */
export function Timeline({ job }: { job: Job }) {
  return (
    <div className={classes.timeline}>
      <div className={classes.phases}>
        <PhaseBar job={job} size="tall" />
        <ol className={classes.labels}>
          {phasesOf(job).map((phase) => (
            <li key={phase.name} className={classes.cell} style={{ flexGrow: phase.weight }} data-current={phase.name === job.phase}>
              {phase.name && <Label phase={phase} />}
            </li>
          ))}
        </ol>
      </div>
      <Arrival job={job} />
    </div>
  );
}

function Label({ phase }: { phase: Phase }) {
  const note = noteOf(phase);
  return (
    <div className={classes.label} title={`${titleOf(phase)} · ${(phase.weight * 100).toFixed(0)} % of the work · ${note}`}>
      <span className={classes.title}>{titleOf(phase)}</span>
      <span className={classes.note}>{note}</span>
    </div>
  );
}

/** How long a phase took, how far it is, or how long it may take. */
function noteOf(phase: Phase): string {
  if (phase.started_at && phase.finished_at) return duration((Date.parse(phase.finished_at) - Date.parse(phase.started_at)) / 1000);
  if (phase.percent > 0) return percent(phase.percent);
  return phase.eta_seconds === null ? "to come" : `about ${duration(phase.eta_seconds)}`;
}
