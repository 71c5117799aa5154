import { Ago } from "@/components/ui/Ago";
import { type Column, Table } from "@/components/ui/Table";
import type { Queue } from "../groups";

const COLUMNS: Column<Queue>[] = [
  { title: "Queue", cell: (queue) => queue.name },
  { title: "Slots", cell: (queue) => queue.slots, align: "right" },
  { title: "Running", cell: (queue) => queue.running, align: "right" },
  { title: "Queued", cell: (queue) => queue.queued, align: "right" },
  { title: "First in line", cell: (queue) => (queue.since ? <>queued <Ago at={queue.since} /></> : "–"), align: "right" },
];

/** What each queue holds, and how long its first job has waited. */
export function Queues({ queues }: { queues: Queue[] }) {
  if (queues.length === 0) return <p className="dim">No worker serves any queue.</p>;
  return <Table label="Queues" columns={COLUMNS} items={queues} keyOf={(queue) => queue.name} />;
}
