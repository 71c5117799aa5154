import uPlot from "uplot";
import { count, metric } from "@/lib/format/numbers";
import { RULE_LABEL_PX, type Rule, placeRules } from "./rules";

const HEIGHT = 168;
const MIN_DRAG_PX = 5;
const LEAST_SPAN = 0.002;
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const AXIS_FONT = '11px "Inter Variable", system-ui, sans-serif';

/** First and last place of the axis to show. */
export type Range = [number, number];

interface Input {
  width: number;
  /** Charts of one name share their cursor. */
  sync: string;
  rangeOf: () => Range;
  rulesOf: () => Rule[];
  /** What sets each line apart; colours are names of the theme's. */
  lines: { colour: string; width: number; dash?: number[] }[];
  /** The axis below, if it is not one of steps. */
  axis?: Pick<uPlot.Axis, "values" | "splits" | "align">;
  /** The ticks of the axis below are borders of something: they are drawn. */
  bordered?: boolean;
  /** Values lie within these, whatever is told of them. */
  values?: Range;
  /** How a value is written at the axis. */
  format?: (value: number) => string;
  /** The reader dragged over this range, or asked for the whole again. */
  onZoom: (range: Range | null) => void;
  onCursor: (place: number | null, index: number | null) => void;
}

/** How a chart looks and answers; colours are the page's own. */
export function optionsOf({ width, sync, rangeOf, rulesOf, lines, axis, bordered = false, values, format = metric, onZoom, onCursor }: Input): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const plain = { font: AXIS_FONT, stroke: colour("--fg-3"), ticks: { show: false } };
  const grid = { stroke: colour("--line"), width: 1 };
  return {
    width,
    height: HEIGHT,
    padding: [RULE_LABEL_PX, 12, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: sync, scales: ["x", null] },
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
    scales: { x: { time: false, range: () => rangeOf() }, y: { range: values ? () => values : valueRange } },
    axes: [
      { ...plain, grid: { ...grid, show: bordered }, size: 26, gap: 4, space: 70, values: (_, steps) => stepLabels(steps), ...axis },
      { ...plain, grid, size: 52, gap: 6, space: 34, values: (_, ticks) => ticks.map(format) },
    ],
    series: [{}, ...lines.map((line) => ({ ...line, stroke: colour(line.colour), points: { show: false }, spanGaps: false }))],
    hooks: {
      draw: [(chart) => placeRules(chart, rulesOf())],
      setCursor: [(chart) => onCursor(...pointed(chart))],
      setSelect: [
        (chart) => {
          const range = takeSelection(chart);
          if (range) onZoom(range);
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

/** The place under the cursor and its index in the data, wherever on the page the cursor is. */
function pointed(chart: uPlot): [number | null, number | null] {
  const { idx } = chart.cursor;
  if (idx === null || idx === undefined) return [null, null];
  return [chart.data[0][idx] ?? null, idx];
}

/** The range that was dragged over; the mark of the drag is taken away. */
function takeSelection(chart: uPlot): Range | null {
  const { left, width } = chart.select;
  if (width === 0) return null;
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  return [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
}

function valueRange(_: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  if (min === max) return [min - Math.abs(min || 1) * 0.1, max + Math.abs(max || 1) * 0.1];
  // a curve that hardly moves is shown as such, and its ticks stay apart in the digits they have
  const least = Math.max(Math.abs(min), Math.abs(max)) * LEAST_SPAN;
  if (max - min < least) return [(min + max - least) / 2, (min + max + least) / 2];
  const room = (max - min) * 0.06;
  return [min - (min >= 0 && min < room ? min : room), max + room];
}
