import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { count, metric } from "@/lib/format/numbers";
import type { Curve } from "@/lib/series/curve";
import classes from "./Chart.module.css";
import { type Steps, optionsOf } from "./chartOptions";

interface ChartProps {
  name: string;
  curve: Curve;
  /** What earlier attempts logged beyond the step the next one resumed from. */
  ghosts: Curve[];
  /** First and last step to show, the same for all charts. */
  steps: Steps;
  onZoom: (steps: Steps | null) => void;
}

/** One metric over the whole run. Charts of a page share their cursor and, when dragged, their zoom. */
export function Chart({ name, curve, ghosts, steps, onZoom }: ChartProps) {
  const scheme = useComputedColorScheme("light");
  const frame = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);
  const view = useRef({ data: dataOf(curve, ghosts), steps, latest: "", markAt: (_step: number): string => "–" });
  const marks = Object.values(curve.marks ?? {});
  const last = curve.values.findLast((value) => value !== null);
  const ghostCount = ghosts.length;

  useEffect(() => {
    const element = frame.current!;
    const show = (text: string | null) => {
      if (readout.current) readout.current.textContent = text ?? view.current.latest;
    };
    const options = optionsOf({
      width: element.clientWidth,
      ghostCount,
      stepsOf: () => view.current.steps,
      onZoom,
      onCursor: (step, value) => show(step === null ? null : `${value === null ? view.current.markAt(step) : metric(value)} at ${count(step)}`),
    });
    const chart = new uPlot(options, view.current.data, element);
    plot.current = chart;
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: chart.height }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [scheme, ghostCount, onZoom]);

  useEffect(() => {
    const chart = plot.current;
    view.current = { data: dataOf(curve, ghosts), steps, latest: metric(last), markAt: (step) => curve.marks?.[step] ?? "–" };
    if (readout.current && (chart?.cursor.idx ?? null) === null) readout.current.textContent = view.current.latest;
    chart?.setData(view.current.data);
  }, [curve, ghosts, steps, last]);

  return (
    <figure className={classes.chart}>
      <figcaption className={classes.caption}>
        <span className={classes.name} title={name}>
          {name}
        </span>
        {marks.length > 0 && <span className={classes.marks}>{`${marks.length} not finite`}</span>}
        <span className={`figures ${classes.value}`} ref={readout} />
      </figcaption>
      <div className={classes.frame} ref={frame} role="img" aria-label={`${name}, latest ${metric(last)}`} />
    </figure>
  );
}

function dataOf(curve: Curve, ghosts: Curve[]): uPlot.AlignedData {
  const tables = [...ghosts, curve].map(({ steps, values }) => [steps, values] as uPlot.AlignedData);
  // Joined, a null stays a gap, and a step that only another curve has is bridged.
  return ghosts.length ? uPlot.join(tables) : tables[0]!;
}
