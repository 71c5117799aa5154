import uPlot from "uplot";
import { count, metric } from "@/lib/format/numbers";

const HEIGHT = 168;
const MIN_DRAG_PX = 5;
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const AXIS_FONT = '11px "Inter Variable", system-ui, sans-serif';

export type Steps = [number, number];

interface Input {
  width: number;
  ghostCount: number;
  /** First and last step to show. */
  stepsOf: () => Steps;
  /** The reader dragged over these steps, or asked for the whole run again. */
  onZoom: (steps: Steps | null) => void;
  onCursor: (step: number | null, value: number | null) => void;
}

/** How a metric's chart looks and answers; colours are the page's own. */
export function optionsOf({ width, ghostCount, stepsOf, onZoom, onCursor }: Input): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = { font: AXIS_FONT, stroke: colour("--fg-3"), ticks: { show: false } };
  const line = { points: { show: false }, spanGaps: false };
  const grid = { stroke: colour("--line"), width: 1 };
  return {
    width,
    height: HEIGHT,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: "metrics", scales: ["x", null] },
      points: { size: 6 },
      y: false,
      drag: { x: true, y: false, setScale: false, dist: MIN_DRAG_PX },
      bind: {
        dblclick: () => () => {
          onZoom(null);
          return null;
        },
      },
    },
    scales: { x: { time: false, range: () => stepsOf() }, y: { range: valueRange } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, gap: 4, space: 70, values: (_, steps) => stepLabels(steps) },
      { ...axis, grid, size: 52, gap: 6, space: 34, values: (_, values) => values.map((value) => metric(value)) },
    ],
    series: [
      {},
      ...Array.from({ length: ghostCount }, () => ({ ...line, stroke: colour("--fg-3"), width: 1, dash: [3, 3] })),
      { ...line, stroke: colour("--accent"), width: 1.5 },
    ],
    hooks: {
      setCursor: [(chart) => onCursor(...pointed(chart))],
      setSelect: [
        (chart) => {
          const steps = takeSelection(chart);
          if (steps) onZoom(steps);
        },
      ],
    },
  };
}

/** `4k` where that says it all, `4,150` where it does not. */
function stepLabels(steps: number[]): string[] {
  const isRound = steps.every((step) => step % 100 === 0);
  return steps.map((step) => (isRound ? COMPACT.format(step).replace("K", "k") : count(step)));
}

/** The step and value under the cursor, wherever on the page the cursor is. */
function pointed(chart: uPlot): [number | null, number | null] {
  const { idx } = chart.cursor;
  if (idx === null || idx === undefined) return [null, null];
  return [chart.data[0][idx] ?? null, chart.data.at(-1)?.[idx] ?? null];
}

/** The steps that were dragged over; the mark of the drag is taken away. */
function takeSelection(chart: uPlot): Steps | null {
  const { left, width } = chart.select;
  if (width === 0) return null;
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  return [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
}

function valueRange(_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  if (min === max) return [min - Math.abs(min || 1) * 0.1, max + Math.abs(max || 1) * 0.1];
  const room = (max - min) * 0.06;
  return [min - (min >= 0 && min < room ? min : room), max + room];
}
