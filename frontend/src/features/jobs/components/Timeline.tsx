import { titleOf } from "@/components/jobs/activity";
import { PhaseBar, phasesOf } from "@/components/ui/PhaseBar";
import type { Job, Phase } from "@/types/api";
import { Arrival } from "./Arrival";
import { noteOf } from "./phaseNote";
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
              {phase.name && <Label phase={phase} job={job} />}
            </li>
          ))}
        </ol>
      </div>
      <Arrival job={job} />
    </div>
  );
}

function Label({ phase, job }: { phase: Phase; job: Job }) {
  const note = noteOf(phase, job.state);
  return (
    <div className={`figures ${classes.label}`} title={`${titleOf(phase)} · ${(phase.weight * 100).toFixed(0)} % of the work · ${note}`}>
      <span className={classes.title}>{titleOf(phase)}</span>
      <span className={classes.note}>{note}</span>
    </div>
  );
}

