import { bytes, metric } from "@/lib/format/numbers";
import type { Track } from "@/lib/hardware/tracks";
import type { JobResources, JobUsed, JsonObject } from "@/types/api";
import type { ChartSpec } from "./HardwareCharts";
import { byteTick, cores, perSecond, wholePercent } from "./hostCharts";

const OWN = "--series-1";
const HOST = "--fg-3";
const GPU = "--series-3";

/** A pushed measurement of a job. */
export interface Used {
  /** Unix seconds. */
  at: number;
  gauges: Omit<JobUsed, "at">;
}

/** What was read, lengthened by what was pushed since. */
export function withUsed(read: JobResources, pushed: Used[]): JobResources {
  const last = read.times.at(-1) ?? -Infinity;
  const newer = pushed.filter((used) => used.at > last);
  if (newer.length === 0) return read;
  const valueOf = (used: Used, gauge: string) => (used.gauges as unknown as Record<string, number | null>)[gauge] ?? null;
  return {
    ...read,
    times: [...read.times, ...newer.map((used) => used.at)],
    series: read.series.map((series) => ({ ...series, values: [...series.values, ...newer.map((used) => valueOf(used, series.gauge))] })),
    estimated: read.estimated || newer.some((used) => used.gauges.estimated),
  };
}

/** The charts of a job: its own lines, and its machine's behind them. */
export function jobCharts(job: JobResources, host: Track | null, environment: JsonObject | null): ChartSpec[] {
  const columns = new Map(job.series.map(({ gauge, values }) => [gauge, values]));
  const cpus = typeof environment?.cpus === "number" ? environment.cpus : null;
  const hostCores = cpus === null ? null : aligned(job.times, host, "cpu.percent", (value) => (value / 100) * cpus);
  return [
    chart("CPU", cores, metric, [line("job", columns.get("cpu_cores")), line("host", hostCores, HOST)]),
    chart("Memory", bytes, byteTick, [line("job", columns.get("memory_bytes")), line("host", aligned(job.times, host, "memory.used_bytes"), HOST)]),
    chart("Disk", perSecond, byteTick, [
      line("read", columns.get("read_bytes_per_second")),
      line("written", columns.get("written_bytes_per_second"), "--series-2"),
    ]),
    chart("GPU", wholePercent, wholePercent, [line("job", ifAny(columns.get("gpu_percent")), GPU)]),
    chart("GPU memory", bytes, byteTick, [line("job", ifAny(columns.get("gpu_memory_bytes")), GPU)]),
  ].filter((spec) => spec.lines.length > 0);
}

type Line = ChartSpec["lines"][number];

function line(name: string, values: (number | null)[] | null | undefined, colour = OWN): Line[] {
  return values ? [{ name, values, colour }] : [];
}

/** The values, unless the job used nothing of it at all. */
function ifAny(values: (number | null)[] | undefined): (number | null)[] | undefined {
  return values?.some((value) => value) ? values : undefined;
}

function chart(name: string, textOf: ChartSpec["textOf"], tickOf: ChartSpec["tickOf"], lines: Line[][]): ChartSpec {
  return { name, textOf, tickOf, lines: lines.flat() };
}

/** A host's gauge at the job's own times: the newest sample that is not later. */
export function aligned(times: number[], host: Track | null, gauge: string, convert = (value: number) => value): (number | null)[] | null {
  const values = host?.values[gauge];
  if (!host || !values) return null;
  let place = -1;
  return times.map((time) => {
    while (place + 1 < host.times.length && host.times[place + 1]! <= time) place += 1;
    const value = values[place];
    return value === null || value === undefined ? null : convert(value);
  });
}
