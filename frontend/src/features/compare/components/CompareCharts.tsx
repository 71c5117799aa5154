import { SegmentedControl } from "@mantine/core";
import { useMemo, useState } from "react";
import type { Range } from "@/components/charts/options";
import { Section } from "@/components/ui/Page";
import { metric, percent } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";
import type { Comparison } from "@/types/api";
import { ALIGNS, type Align, rangeOf } from "../axis";
import { CompareChart, type Line } from "./CompareChart";
import classes from "./CompareCharts.module.css";

const WHOLE: Range = [0, 100];

/** Progress and metrics of all jobs over one axis that the reader chooses; the charts share cursor and zoom. */
export function CompareCharts({ comparison, onAlign }: { comparison: Comparison; onAlign: (align: Align) => void }) {
  const { align, phases } = comparison;
  const [zoom, setZoom] = useState<{ align: Align; range: Range } | null>(null);
  const { progress, worked, metrics, whole } = useMemo(() => linesOf(comparison), [comparison]);
  const range = zoom?.align === align ? zoom.range : whole;
  const shared = { align, phases, range, onZoom: (next: Range | null) => setZoom(next && { align, range: next }) };
  const choice = (
    <SegmentedControl size="xs" aria-label="Axis" data={ALIGNS} value={align} onChange={(value) => onAlign(value as Align)} />
  );

  return (
    <>
      <Section title="Progress" aside={choice}>
        <div className={classes.grid}>
          <CompareChart name="percent" lines={progress} values={WHOLE} textOf={percentText} {...shared} />
          {align !== "time" && <CompareChart name="seconds worked" lines={worked} textOf={duration} {...shared} />}
        </div>
      </Section>
      <Section title="Metrics">
        {metrics.length === 0 ? (
          <p className="dim">No metric was logged by two of them.</p>
        ) : (
          <div className={classes.grid}>
            {metrics.map(({ name, lines }) => (
              <CompareChart key={name} name={name} lines={lines} textOf={metric} {...shared} />
            ))}
          </div>
        )}
      </Section>
    </>
  );
}

const percentText = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : percent(value));

function linesOf({ align, phases, jobs, progress, metrics }: Comparison) {
  const index = new Map(jobs.map((job, i) => [job.id, i]));
  const lineOf = (id: string, x: number[], values: (number | null)[]): Line => ({ index: index.get(id) ?? 0, x, values });
  return {
    progress: progress.map((curve) => lineOf(curve.job_id, curve.x, curve.percent)),
    worked: progress.map((curve) => lineOf(curve.job_id, curve.x, curve.seconds)),
    metrics: metrics.map(({ name, curves }) => ({ name, lines: curves.map((curve) => lineOf(curve.job_id, curve.x, curve.values)) })),
    whole: rangeOf(align, phases, [...progress, ...metrics.flatMap((item) => item.curves)]),
  };
}
