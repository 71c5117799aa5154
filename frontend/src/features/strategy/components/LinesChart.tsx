import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import chart from "@/components/charts/Chart.module.css";
import type { Range } from "@/components/charts/options";
import { usePlot } from "@/components/charts/usePlot";
import { metric } from "@/lib/format/numbers";
import classes from "./Strategy.module.css";

export interface Line {
  title: string;
  colour: string;
  x: number[];
  values: (number | null)[];
}

interface LinesChartProps {
  name: string;
  lines: Line[];
  /** What a place of the axis is called. */
  placeText: (place: number) => string;
}

/** Lines over one axis, told apart by colour; above them their values under the cursor, or their last. */
export function LinesChart({ name, lines, placeText }: LinesChartProps) {
  const readout = useRef<HTMLSpanElement>(null);
  const whole = useMemo(() => extent(lines), [lines]);
  const [zoom, setZoom] = useState<Range | null>(null);
  const data = useMemo(() => uPlot.join(lines.map((line) => [line.x, line.values] as uPlot.AlignedData)), [lines]);
  const show = (place: number | null, index: number | null) => {
    const [at, ...texts] = readout.current?.children ?? [];
    if (at) at.textContent = place === null ? "" : placeText(place);
    texts.forEach((text, i) => {
      const value = index === null ? lines[i]?.values.findLast((each) => each !== null) : data[i + 1]?.[index];
      text.textContent = `${lines[i]?.title} ${metric(value)}`;
    });
  };
  const { frame, plot } = usePlot({
    data,
    range: zoom ?? whole,
    identity: lines.map((line) => line.title + line.colour).join(),
    sync: name,
    lines: lines.map(({ colour }) => ({ colour, width: 1.5 })),
    axis: { values: (_, places) => places.map(placeText) },
    onZoom: setZoom,
    onCursor: show,
  });

  useEffect(() => {
    if ((plot.current?.cursor.idx ?? null) === null) show(null, null);
  });

  return (
    <figure className={chart.chart}>
      <figcaption className={chart.caption}>
        <span className={chart.name}>{name}</span>
        <span className={`figures ${classes.readout}`} ref={readout}>
          <span className="dim" />
          {lines.map((line) => (
            <span key={line.title} style={{ color: `var(${line.colour})` }} />
          ))}
        </span>
      </figcaption>
      <div className={chart.frame} ref={frame} role="img" aria-label={`${name}: ${lines.map((line) => line.title).join(", ")}`} />
    </figure>
  );
}

function extent(lines: Line[]): Range {
  const first = Math.min(...lines.map((line) => line.x[0] ?? Infinity));
  const last = Math.max(...lines.map((line) => line.x.at(-1) ?? -Infinity));
  return first < last ? [first, last] : [0, 1];
}

/** `3 Apr 2017` */
export const dayText = (second: number): string =>
  new Date(second * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
