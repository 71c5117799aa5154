import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import chart from "@/components/charts/Chart.module.css";
import type { Range } from "@/components/charts/options";
import { usePlot } from "@/components/charts/usePlot";
import { type Align, axisOf, placeText } from "../axis";
import { indexAt } from "../rates";
import { colourOf } from "../series";
import classes from "./CompareChart.module.css";

export interface Line {
  /** The job's place among those compared: it gives the colour. */
  index: number;
  x: number[];
  values: (number | null)[];
}

interface CompareChartProps {
  name: string;
  lines: Line[];
  align: Align;
  phases: string[];
  range: Range;
  /** Values lie within these, whatever is told. */
  values?: Range;
  textOf: (value: number | null | undefined) => string;
  onZoom: (range: Range | null) => void;
}

/** One thing of several jobs over one axis; above it the values under the cursor, or the latest. */
export function CompareChart({ name, lines, align, phases, range, values, textOf, onZoom }: CompareChartProps) {
  const readout = useRef<HTMLSpanElement>(null);
  const data = useMemo(() => uPlot.join(lines.map((line) => [line.x, line.values] as uPlot.AlignedData)), [lines]);
  const show = (place: number | null) => {
    const [at, ...texts] = readout.current?.children ?? [];
    if (at) at.textContent = place === null ? "" : placeText(align, place, phases);
    texts.forEach((text, i) => (text.textContent = textOf(valueAt(lines[i], place))));
  };
  const { frame, plot } = usePlot({
    data,
    range,
    identity: [align, ...phases, ...lines.map((line) => line.index)].join(),
    sync: "compare",
    lines: lines.map((line) => ({ colour: colourOf(line.index), width: 1.5 })),
    axis: axisOf(align, phases),
    bordered: align === "phase",
    values,
    onZoom,
    onCursor: show,
  });

  useEffect(() => {
    if ((plot.current?.cursor.idx ?? null) === null) show(null);
  });

  return (
    <figure className={chart.chart}>
      <figcaption className={chart.caption}>
        <span className={chart.name} title={name}>
          {name}
        </span>
        <span className={`figures ${classes.readout}`} ref={readout}>
          <span className="dim" />
          {lines.map((line) => (
            <span key={line.index} style={{ color: `var(${colourOf(line.index)})` }} />
          ))}
        </span>
      </figcaption>
      <div className={chart.frame} ref={frame} role="img" aria-label={`${name} of ${lines.length} jobs`} />
    </figure>
  );
}

/** A line's value at a place of the axis, its last one if no place is asked for. */
function valueAt(line: Line | undefined, place: number | null): number | null | undefined {
  if (!line) return null;
  if (place === null) return line.values.findLast((value) => value !== null);
  const index = indexAt(line.x, place);
  return index === null ? null : line.values[index];
}
