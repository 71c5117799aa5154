import { titleOf } from "@/components/jobs/activity";
import { Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { duration } from "@/lib/format/times";
import type { Job, Phase } from "@/types/api";
import { noteOf } from "./phaseNote";

const columnsOf = (job: Job): Column<Phase>[] => [
  { title: "Phase", cell: (phase) => titleOf(phase) },
  { title: "Weight", cell: (phase) => `${(phase.weight * 100).toFixed(0)} %`, align: "right" },
  { title: "Left", cell: (phase) => (job.state === "running" && phase.state === "running" ? duration(phase.eta_seconds) : "–"), align: "right" },
  { title: "Done or took", cell: (phase) => noteOf(phase, job.state), align: "right" },
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
