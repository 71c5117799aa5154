import { Link } from "@tanstack/react-router";
import { type Column, Table } from "@/components/ui/Table";
import { bytes } from "@/lib/format/numbers";
import type { Operations } from "@/types/api";

type Gpu = Operations["gpus"][number];

const COLUMNS: Column<Gpu>[] = [
  { title: "GPU", cell: (gpu) => `${gpu.host}:${gpu.index ?? gpu.id}` },
  { title: "Model", cell: ({ name }) => name ?? "–", secondary: true },
  { title: "Busy", cell: (gpu) => (gpu.utilisation_percent === null ? "–" : `${Math.round(gpu.utilisation_percent)} %`), align: "right" },
  { title: "Memory", cell: memoryText, align: "right" },
  { title: "Used by", cell: (gpu) => <Users users={gpu.users} /> },
];

/** Every GPU that is given to jobs, what it does, and whose it is. */
export function Gpus({ gpus }: { gpus: Gpu[] }) {
  return <Table label="GPUs" columns={COLUMNS} items={gpus} keyOf={(gpu) => `${gpu.host}:${gpu.id}`} />;
}

function memoryText({ memory_used_bytes: used, memory_total_bytes: total }: Gpu): string {
  return used === null ? bytes(total) : `${bytes(used)} of ${bytes(total)}`;
}

function Users({ users }: Pick<Gpu, "users">) {
  if (users.length === 0) return <span className="dim">free</span>;
  return users.map(({ job_id: id, name, kind }, place) => (
    <span key={id}>
      {place > 0 && ", "}
      <Link to="/jobs/$id" params={{ id }}>
        {name || kind}
      </Link>
    </span>
  ));
}
