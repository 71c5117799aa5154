import { useQuery } from "@tanstack/react-query";
import { Ago } from "@/components/ui/Ago";
import { Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { bytes, count, metric } from "@/lib/format/numbers";
import { isFinal } from "@/lib/jobs/states";
import type { Checkpoint, Job } from "@/types/api";
import { checkpoints } from "../api/queries";
import { withoutFiring } from "../firing";

const COLUMNS: Column<Checkpoint>[] = [
  { title: "Step", cell: (item) => (item.best ? <>{count(item.step)} <span className="dim">best</span></> : count(item.step)) },
  { title: "Attempt", cell: (item) => item.attempt, secondary: true },
  { title: "Size", cell: (item) => bytes(item.bytes), align: "right" },
  { title: "Metrics", cell: (item) => withoutFiring(item.metrics).map(([name, value]) => `${name} ${metric(value)}`).join(", "), secondary: true },
  { title: "Made", cell: (item) => <Ago at={item.created_at} />, align: "right" },
];

/** What a resumed run would start from. */
export function Checkpoints({ job }: { job: Job }) {
  const { data } = useQuery(checkpoints(job.id));
  const items = data?.items.toSorted((a, b) => b.step - a.step) ?? [];
  return (
    <Section title="Checkpoints">
      {items.length === 0 ? (
        <p className="dim">{!data ? " " : isFinal(job.state) ? "None were kept." : "None yet."}</p>
      ) : (
        <Table label="Checkpoints" columns={COLUMNS} items={items} keyOf={(item) => item.id} />
      )}
    </Section>
  );
}
