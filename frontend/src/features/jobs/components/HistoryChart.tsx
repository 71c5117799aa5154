import { useEffect, useMemo, useRef } from "react";
import type uPlot from "uplot";
import chart from "@/components/charts/Chart.module.css";
import type { Range } from "@/components/charts/options";
import type { Rule } from "@/components/charts/rules";
import { TIME_AXIS } from "@/components/charts/timeAxis";
import { usePlot } from "@/components/charts/usePlot";
import { duration } from "@/lib/format/times";

interface HistoryChartProps {
  name: string;
  /** Seconds since the start. */
  x: number[];
  values: (number | null)[];
  range: Range;
  rules: Rule[];
  /** Values lie within these, whatever is told. */
  bounds?: Range;
  textOf: (value: number) => string;
  onZoom: (range: Range | null) => void;
}

const LINES = [{ colour: "--accent", width: 1.5 }];

/** One thing about a job over the time since it started; both charts share their cursor. */
export function HistoryChart({ name, x, values, range, rules, bounds, textOf, onZoom }: HistoryChartProps) {
  const readout = useRef<HTMLSpanElement>(null);
  const data = useMemo(() => [x, values] as uPlot.AlignedData, [x, values]);
  const say = (value: number | null | undefined) => (value === null || value === undefined ? "–" : textOf(value));
  const latest = say(values.findLast((value) => value !== null));
  const { frame, plot } = usePlot({
    data,
    range,
    rules,
    identity: name,
    sync: "history",
    lines: LINES,
    axis: TIME_AXIS,
    values: bounds,
    onZoom,
    onCursor: (place, index) => {
      if (readout.current) readout.current.textContent = place === null || index === null ? latest : `${say(values[index])} after ${duration(place)}`;
    },
  });

  useEffect(() => {
    if (readout.current && (plot.current?.cursor.idx ?? null) === null) readout.current.textContent = latest;
  }, [latest, plot]);

  return (
    <figure className={chart.chart}>
      <figcaption className={chart.caption}>
        <span className={chart.name}>{name}</span>
        <span className={`figures ${chart.value}`} ref={readout} />
      </figcaption>
      <div className={chart.frame} ref={frame} role="img" aria-label={`${name} over time, latest ${latest}`} />
    </figure>
  );
}
