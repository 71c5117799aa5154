import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import classes from "@/components/charts/Chart.module.css";
import type { Range } from "@/components/charts/options";
import type { Rule } from "@/components/charts/rules";
import { usePlot } from "@/components/charts/usePlot";
import { count, metric } from "@/lib/format/numbers";
import type { Curve } from "@/lib/series/curve";

interface ChartProps {
  name: string;
  curve: Curve;
  /** What earlier attempts logged beyond the step the next one resumed from. */
  ghosts: Curve[];
  /** Where later attempts went on. */
  rules: Rule[];
  /** First and last step to show, the same for all charts. */
  steps: Range;
  onZoom: (steps: Range | null) => void;
}

const GHOST = { colour: "--fg-3", width: 1, dash: [3, 3] };
const LINE = { colour: "--accent", width: 1.5 };

/** One metric over the whole run. Charts of a page share their cursor and, when dragged, their zoom. */
export function Chart({ name, curve, ghosts, rules, steps, onZoom }: ChartProps) {
  const readout = useRef<HTMLSpanElement>(null);
  const data = useMemo(() => dataOf(curve, ghosts), [curve, ghosts]);
  const marks = Object.values(curve.marks ?? {});
  const latest = metric(curve.values.findLast((value) => value !== null));
  const show = (text: string) => {
    if (readout.current) readout.current.textContent = text;
  };
  const textAt = (step: number, index: number) => {
    const value = data.at(-1)?.[index] ?? null;
    return `${value === null ? (curve.marks?.[step] ?? "–") : metric(value)} at ${count(step)}`;
  };
  const { frame, plot } = usePlot({
    data,
    range: steps,
    rules,
    identity: String(ghosts.length),
    sync: "metrics",
    lines: [...ghosts.map(() => GHOST), LINE],
    onZoom,
    onCursor: (step, index) => show(step === null || index === null ? latest : textAt(step, index)),
  });

  useEffect(() => {
    if (readout.current && (plot.current?.cursor.idx ?? null) === null) readout.current.textContent = latest;
  }, [latest, plot]);

  return (
    <figure className={classes.chart}>
      <figcaption className={classes.caption}>
        <span className={classes.name} title={name}>
          {name}
        </span>
        {marks.length > 0 && <span className={classes.marks}>{`${marks.length} not finite`}</span>}
        <span className={`figures ${classes.value}`} ref={readout} />
      </figcaption>
      <div className={classes.frame} ref={frame} role="img" aria-label={`${name}, latest ${latest}`} />
    </figure>
  );
}

function dataOf(curve: Curve, ghosts: Curve[]): uPlot.AlignedData {
  const tables = [...ghosts, curve].map(({ steps, values }) => [steps, values] as uPlot.AlignedData);
  // Joined, a null stays a gap, and a step that only another curve has is bridged.
  return ghosts.length ? uPlot.join(tables) : tables[0]!;
}
