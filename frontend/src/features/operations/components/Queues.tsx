import { type Column, Table } from "@/components/ui/Table";
import { duration } from "@/lib/format/times";
import type { Operations } from "@/types/api";

type Queue = Operations["queues"][number];

const COLUMNS: Column<Queue>[] = [
  { title: "Queue", cell: ({ queue }) => queue },
  { title: "Slots", cell: ({ slots }) => slots, align: "right" },
  { title: "Running", cell: ({ running }) => running, align: "right" },
  { title: "Queued", cell: ({ queued }) => queued, align: "right" },
  { title: "Longest wait", cell: (queue) => duration(queue.oldest_wait_seconds), align: "right" },
  { title: "Usual wait, last hour", cell: (queue) => duration(queue.median_wait_seconds), align: "right", secondary: true },
];

/** What each queue holds, how long its first job has waited, and how long jobs waited lately. */
export function Queues({ queues }: { queues: Queue[] }) {
  if (queues.length === 0) return <p className="dim">No worker serves any queue.</p>;
  return <Table label="Queues" columns={COLUMNS} items={queues} keyOf={({ queue }) => queue} />;
}
