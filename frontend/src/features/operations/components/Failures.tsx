import { Link } from "@tanstack/react-router";
import { Ago } from "@/components/ui/Ago";
import { type Column, Table } from "@/components/ui/Table";
import type { Operations } from "@/types/api";

type Failure = Operations["failures"][number];

const COLUMNS: Column<Failure>[] = [
  {
    title: "Job",
    cell: ({ job_id: id, name, kind }) => (
      <Link to="/jobs/$id" params={{ id }}>
        {name || kind}
      </Link>
    ),
  },
  { title: "Why", cell: (failure) => failure.message },
  { title: "Class", cell: (failure) => failure.failure_class, secondary: true },
  { title: "When", cell: (failure) => <Ago at={failure.finished_at} />, align: "right" },
];

/** What failed within a day, the last first. */
export function Failures({ failures }: { failures: Failure[] }) {
  return <Table label="Failures" columns={COLUMNS} items={failures} keyOf={({ job_id: id }) => id} />;
}
