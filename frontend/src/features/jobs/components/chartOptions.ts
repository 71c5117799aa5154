import uPlot from "uplot";
import { metric } from "@/lib/format/numbers";

const HEIGHT = 168;
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const AXIS_FONT = '11px "Inter Variable", system-ui, sans-serif';

interface Input {
  width: number;
  ghostCount: number;
  rangeOf: () => [number, number];
  /** The steps the reader has zoomed into, or null for the whole run. */
  onZoom: (steps: [number, number] | null) => void;
  onCursor: (step: number | null, value: number | null) => void;
}

/** How a metric's chart looks and answers; colours are the page's own. */
export function optionsOf({ width, ghostCount, rangeOf, onZoom, onCursor }: Input): uPlot.Options {
  const stepRange = (chart: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax => {
    const zoom = zoomOf(chart, min, max);
    onZoom(zoom);
    return zoom ?? rangeOf();
  };
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = { font: AXIS_FONT, stroke: colour("--fg-3"), ticks: { show: false } };
  const line = { points: { show: false }, spanGaps: false };
  const grid = { stroke: colour("--line"), width: 1 };
  return {
    width,
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: "metrics", scales: ["x", null] }, points: { size: 6 }, y: false, drag: { x: true, y: false } },
    scales: { x: { time: false, range: stepRange }, y: { range: valueRange } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, gap: 4, space: 70, values: (_, steps) => steps.map((step) => COMPACT.format(step).replace("K", "k")) },
      { ...axis, grid, size: 52, gap: 6, space: 34, values: (_, values) => values.map((value) => metric(value)) },
    ],
    series: [
      {},
      ...Array.from({ length: ghostCount }, () => ({ ...line, stroke: colour("--fg-3"), width: 1, dash: [3, 3] })),
      { ...line, stroke: colour("--accent"), width: 1.5 },
    ],
    hooks: { setCursor: [(chart) => onCursor(...pointed(chart))] },
  };
}

/** The step and value under the cursor, wherever on the page the cursor is. */
function pointed(chart: uPlot): [number | null, number | null] {
  const { idx } = chart.cursor;
  if (idx === null || idx === undefined) return [null, null];
  return [chart.data[0][idx] ?? null, chart.data.at(-1)?.[idx] ?? null];
}

/** What the reader has zoomed into; uPlot asks for the very bounds of the data when nobody has. */
function zoomOf(chart: uPlot, min: number | null, max: number | null): [number, number] | null {
  const steps = chart.data[0];
  const isWhole = min === null || max === null || (min === steps[0] && max === steps.at(-1));
  return isWhole ? null : [min, max];
}

function valueRange(_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  if (min === max) return [min - Math.abs(min || 1) * 0.1, max + Math.abs(max || 1) * 0.1];
  const room = (max - min) * 0.06;
  return [min - (min >= 0 && min < room ? min : room), max + room];
}
