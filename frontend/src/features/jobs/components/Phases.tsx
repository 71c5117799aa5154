import { titleOf } from "@/components/jobs/activity";
import { Section } from "@/components/ui/Page";
import { ProgressBar } from "@/components/ui/ProgressBar";
import { type Column, Table } from "@/components/ui/Table";
import { percent } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";
import type { Job, Phase } from "@/types/api";
import { comesAgain, noteOf } from "./phaseNote";
import classes from "./Phases.module.css";

const columnsOf = (job: Job): Column<Phase>[] => [
  { title: "Phase", cell: (phase) => <Done phase={phase} job={job} /> },
  { title: "Weight", cell: (phase) => `${(phase.weight * 100).toFixed(0)} %`, align: "right" },
  { title: "Left", cell: (phase) => leftOf(phase, job), align: "right" },
  // what is left of one that runs has its own column here
  { title: "Done or took", cell: (phase) => (phase.state === "running" ? percent(phase.percent) : noteOf(phase, job.state)), align: "right" },
];

/** The phases in words: what the timeline is too narrow to say. */
export function Phases({ job }: { job: Job }) {
  if (job.phases.length === 0) return null;
  return (
    <Section title="Phases">
      <Table label="Phases" columns={columnsOf(job)} items={job.phases} keyOf={(phase) => phase.name} />
    </Section>
  );
}

/** A phase's name over how far it is, whether it is its turn or not. */
function Done({ phase, job }: { phase: Phase; job: Job }) {
  const ended = phase.state === "completed" || job.state === "completed";
  return (
    <div className={classes.phase}>
      {titleOf(phase)}
      {phase.state !== "skipped" && <ProgressBar state={phase.state === "failed" ? "failed" : ended ? "completed" : job.state} percent={ended ? 100 : phase.percent} />}
    </div>
  );
}

function leftOf(phase: Phase, job: Job): string {
  const isCounted = job.state === "running" && (phase.state === "running" || comesAgain(phase, job.state));
  return isCounted ? duration(phase.eta_seconds) : "–";
}
