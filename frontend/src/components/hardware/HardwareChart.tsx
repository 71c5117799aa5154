import { useEffect, useMemo, useRef } from "react";
import type uPlot from "uplot";
import chart from "@/components/charts/Chart.module.css";
import type { Range } from "@/components/charts/options";
import { CLOCK_AXIS } from "@/components/charts/timeAxis";
import { usePlot } from "@/components/charts/usePlot";
import { clock } from "@/lib/format/times";
import classes from "./HardwareChart.module.css";

export interface HardwareLine {
  name: string;
  values: (number | null)[];
  colour: string;
}

interface HardwareChartProps {
  name: string;
  lines: HardwareLine[];
  data: uPlot.AlignedData;
  range: Range;
  /** Values lie within these, whatever is told. */
  bounds?: Range;
  textOf: (value: number) => string;
  tickOf: (value: number) => string;
  /** Charts of one name share their cursor. */
  sync: string;
  onZoom: (range: Range | null) => void;
}

/** One thing of a machine over clock time; above it the values under the cursor, or the newest. */
export function HardwareChart({ name, lines, data, range, bounds, textOf, tickOf, sync, onZoom }: HardwareChartProps) {
  const readout = useRef<HTMLSpanElement>(null);
  const texts = useMemo(() => lines.map(({ values }) => values.findLast((value) => value !== null)), [lines]);
  const show = (place: number | null, index: number | null) => {
    const [at, ...shown] = readout.current?.children ?? [];
    if (at) at.textContent = place === null ? "" : clock(place * 1000, Date.now(), true);
    shown.forEach((element, i) => {
      const value = index === null ? texts[i] : data[i + 1]?.[index];
      element.textContent = `${lines.length > 1 ? `${lines[i]?.name} ` : ""}${value === null || value === undefined ? "–" : textOf(value)}`;
    });
  };
  const { frame, plot } = usePlot({
    data,
    range,
    identity: [name, bounds?.join(), ...lines.map((line) => line.name)].join(),
    sync,
    lines: lines.map(({ colour }) => ({ colour, width: 1.5 })),
    axis: CLOCK_AXIS,
    values: bounds,
    format: tickOf,
    onZoom,
    onCursor: show,
  });

  useEffect(() => {
    if ((plot.current?.cursor.idx ?? null) === null) show(null, null);
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
            <span key={line.name} style={lines.length > 1 ? { color: `var(${line.colour})` } : undefined} />
          ))}
        </span>
      </figcaption>
      <div className={chart.frame} ref={frame} role="img" aria-label={`${name} over time`} />
    </figure>
  );
}
