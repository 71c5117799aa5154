import { useMemo, useState } from "react";
import type { Range } from "@/components/charts/options";
import { broken } from "@/lib/hardware/tracks";
import { HardwareChart } from "./HardwareChart";
import classes from "./HardwareChart.module.css";

/** One chart of several lines over the same times. */
export interface ChartSpec {
  name: string;
  lines: { name: string; values: (number | null)[]; colour: string }[];
  bounds?: Range;
  textOf: (value: number) => string;
  /** How a value is written at the axis, where there is less room. */
  tickOf: (value: number) => string;
}

interface HardwareChartsProps {
  times: number[];
  charts: ChartSpec[];
  range: Range;
  /** Seconds between two measurements: a longer silence breaks the line. */
  interval: number;
  sync: string;
}

/** Small charts of one machine or job; they share cursor and zoom. */
export function HardwareCharts({ times, charts, range, interval, sync }: HardwareChartsProps) {
  const [zoom, setZoom] = useState<Range | null>(null);
  return (
    <div className={classes.grid}>
      {charts.map((spec) => (
        <SpecChart key={spec.name} times={times} spec={spec} range={zoom ?? range} interval={interval} sync={sync} onZoom={setZoom} />
      ))}
    </div>
  );
}

type SpecChartProps = Omit<HardwareChartsProps, "charts"> & { spec: ChartSpec; onZoom: (range: Range | null) => void };

function SpecChart({ times, spec, interval, ...shared }: SpecChartProps) {
  const data = useMemo(() => broken(times, spec.lines.map((line) => line.values), interval), [times, spec, interval]);
  return <HardwareChart name={spec.name} lines={spec.lines} data={data} bounds={spec.bounds} textOf={spec.textOf} tickOf={spec.tickOf} {...shared} />;
}
