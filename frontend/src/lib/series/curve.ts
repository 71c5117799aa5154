/** Curves as the browser holds them: what REST told of the whole run, and the tail that was told since. */

import { TAIL_POINTS } from "@/config/live";
import type { NewPoints } from "@/lib/live/jobStreams";
import type { Reset } from "@/lib/live/streams";
import type { Metrics, Series } from "@/types/api";

export interface Curve {
  steps: number[];
  values: (number | null)[];
  /** Steps whose value was not finite, and what it was: NaN, +Inf, -Inf. */
  marks?: Record<number, string>;
}

export interface Tail {
  curves: Record<string, Curve>;
  /** What was read before no longer holds: the tail is the whole curve. */
  isWhole: boolean;
}

export const EMPTY_TAIL: Tail = { curves: {}, isWhole: false };

/** The tail with what a stream told appended. */
export function append(tail: Tail, told: (NewPoints | Reset)[]): Tail {
  const reset = told.findLastIndex((each) => "reset" in each);
  const curves = reset < 0 ? { ...tail.curves } : {};
  for (const { series } of told.slice(reset + 1) as NewPoints[]) {
    for (const { name, steps, values } of series) curves[name] = extend(curves[name], steps, values);
  }
  return { curves, isWhole: tail.isWhole || reset >= 0 };
}

const NOTHING: Series = { name: "", steps: [], values: [], nonfinite: {} };

/** The whole curve of a metric: the base, then the tail, which begins after it. Each step once. */
export function join(base: Metrics | undefined, tail: Tail, name: string): Curve {
  const series = (tail.isWhole ? undefined : base?.series.find((item) => item.name === name)) ?? NOTHING;
  const curve = tail.curves[name] ?? NOTHING;
  const last = series.steps.at(-1) ?? -Infinity;
  const start = curve.steps.findIndex((step) => step > last);
  return {
    steps: start < 0 ? series.steps : series.steps.concat(curve.steps.slice(start)),
    values: start < 0 ? series.values : series.values.concat(curve.values.slice(start)),
    marks: marksOf(series),
  };
}

/** The wire names what was not finite by index; a curve that is cut and joined needs it by step. */
function marksOf({ steps, nonfinite = {} }: Series): Record<number, string> {
  return Object.fromEntries(Object.entries(nonfinite).map(([index, kind]) => [steps[Number(index)], kind]));
}

function extend(curve: Curve = { steps: [], values: [] }, steps: number[], values: (number | null)[]): Curve {
  const last = curve.steps.at(-1) ?? -Infinity;
  const fresh = steps.findIndex((step) => step > last);
  if (fresh < 0) return curve;
  const longer = { steps: curve.steps.concat(steps.slice(fresh)), values: curve.values.concat(values.slice(fresh)) };
  return longer.steps.length > TAIL_POINTS ? thin(longer, TAIL_POINTS / 2) : longer;
}

/** At most about `points` points: the lowest and the highest of each bucket are kept, and so are gaps. */
export function thin(curve: Curve, points: number): Curve {
  const size = Math.ceil(curve.steps.length / Math.max(1, Math.floor(points / 2)));
  if (size <= 2) return curve;
  const kept: number[] = [];
  for (let start = 0; start < curve.steps.length; start += size) {
    kept.push(...extremes(curve.values, start, Math.min(start + size, curve.values.length)));
  }
  return { steps: kept.map((i) => curve.steps[i]!), values: kept.map((i) => curve.values[i]!) };
}

/** Indices of the lowest and highest value in [start, end), in order; a bucket with a gap in it shows the gap too. */
function extremes(values: (number | null)[], start: number, end: number): number[] {
  let low = -1;
  let high = -1;
  let gap = -1;
  for (let i = start; i < end; i += 1) {
    const value = values[i];
    if (value === null || value === undefined) gap = i;
    else {
      if (low < 0 || value < values[low]!) low = i;
      if (high < 0 || value >= values[high]!) high = i;
    }
  }
  return [...new Set([low, high, gap])].filter((i) => i >= 0).sort((a, b) => a - b);
}
