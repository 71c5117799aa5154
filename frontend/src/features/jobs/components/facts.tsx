import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Job } from "@/types/api";

const time = (at: string | null): string | null => at && new Date(at).toLocaleString("en-GB");

/** What is known about a job beside its config: who, when, after what. Unknown facts are left out. */
export function factRows(job: Job): [string, ReactNode][] {
  const rows: [string, ReactNode][] = [
    ["created", time(job.created_at)],
    ["started", time(job.started_at)],
    ["finished", time(job.finished_at)],
    ["tags", job.tags.join(", ")],
    ["notes", job.notes],
    ["after", job.depends_on.length > 0 && <JobLinks ids={job.depends_on} />],
    ["runs again", job.retry_of && <JobLinks ids={[job.retry_of]} />],
  ];
  return rows.filter(([, value]) => Boolean(value));
}

function JobLinks({ ids }: { ids: string[] }) {
  return ids.map((id) => (
    <Link key={id} to="/jobs/$id" params={{ id }} className="mono" style={{ marginRight: 10, textDecoration: "underline" }}>
      {id}
    </Link>
  ));
}
