import type { ReactNode } from "react";
import { titleOf } from "@/components/jobs/activity";
import { StateBadge } from "@/components/ui/StateBadge";
import { type Column, Table } from "@/components/ui/Table";
import { metric, percent, rate } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";
import { leaves } from "@/lib/schema/patch";
import type { Comparison, Job, Json } from "@/types/api";
import { useHistories, useJobsOf } from "../api/queries";
import { ratesByPhase } from "../rates";
import { JobLegend } from "./JobLegend";

interface Row {
  name: string;
  cells: ReactNode[];
}

type Compared = Comparison["jobs"][number];

/** All jobs in figures, one column each: what they are, how long each phase took and how fast it was, where their metrics ended, what of their config differs. */
export function SideBySide({ comparison }: { comparison: Comparison }) {
  const { jobs } = comparison;
  const ids = jobs.map((job) => job.id);
  const known = useJobsOf(ids);
  const rates = useHistories(ids).map((points) => ratesByPhase(points ?? []));
  const columns: Column<Row>[] = [
    { title: "", cell: (row) => <span className="dim">{row.name}</span> },
    ...jobs.map((job, i) => ({ key: job.id, title: <JobLegend job={job} index={i} compact />, cell: (row: Row) => row.cells[i], align: "right" as const })),
  ];
  const rows = [...factRows(jobs), ...phaseRows(comparison, rates), ...metricRows(known), ...configRows(known)];
  return <Table label="Side by side" columns={columns} items={rows} keyOf={(row) => row.name} />;
}

function factRows(jobs: Compared[]): Row[] {
  const row = (name: string, cell: (job: Compared) => ReactNode): Row => ({ name, cells: jobs.map(cell) });
  return [
    row("Kind", (job) => <span className="mono">{job.kind}</span>),
    row("State", (job) => <StateBadge state={job.state} />),
    row("Percent", (job) => percent(job.percent)),
    row("Time worked", (job) => duration(job.seconds)),
  ];
}

function phaseRows({ jobs, phases }: Comparison, rates: Map<string, number>[]): Row[] {
  return phases.map((name) => ({
    name: titleOf({ name }),
    cells: jobs.map((job, i) => {
      const spent = job.phases.find((phase) => phase.name === name)?.seconds;
      const speed = rates[i]?.get(name);
      return spent === undefined ? "–" : [duration(spent), speed !== undefined && rate(speed, "")].filter(Boolean).join(" · ");
    }),
  }));
}

function metricRows(jobs: (Job | undefined)[]): Row[] {
  const names = [...new Set(jobs.flatMap((job) => Object.keys(job?.metrics ?? {})))];
  return names.map((name) => ({ name: `${name}, last`, cells: jobs.map((job) => metric(job?.metrics?.[name] as number | null | undefined)) }));
}

/** The fields of the configs that are not the same for all; none before all are known. */
function configRows(jobs: (Job | undefined)[]): Row[] {
  const configs = jobs.map((job) => new Map(leaves(job?.config ?? {})));
  if (jobs.includes(undefined)) return [];
  const names = [...new Set(configs.flatMap((config) => [...config.keys()]))];
  const differs = names.filter((name) => new Set(configs.map((config) => JSON.stringify(config.get(name)))).size > 1);
  return differs.map((name) => ({ name: `config ${name}`, cells: configs.map((config) => <span className="mono">{textOf(config.get(name))}</span>) }));
}

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}
