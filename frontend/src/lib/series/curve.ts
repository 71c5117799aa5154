/** Curves as the browser holds them: what REST told of the whole run, and the tail that was pushed since. */

import { TAIL_POINTS } from "@/config/live";
import type { Metrics, MetricsPush, Series } from "@/types/api";

export interface Curve {
  steps: number[];
  values: (number | null)[];
  /** Steps whose value was not finite, and what it was: NaN, +Inf, -Inf. */
  marks?: Record<number, string>;
}

export interface Tail {
  attempt: number;
  /** The step from which this attempt owns the curves, if it began while they were watched. */
  from: number | null;
  curves: Record<string, Curve>;
}

export const EMPTY_TAIL: Tail = { attempt: 0, from: null, curves: {} };

/** The tail with pushed points appended. An earlier attempt's late points belong to its own layer and change nothing. */
export function append(tail: Tail, push: Pick<MetricsPush, "attempt" | "points">): Tail {
  if (push.attempt < tail.attempt || push.points.length === 0) return tail;
  const isNewAttempt = push.attempt > tail.attempt;
  const curves = isNewAttempt ? {} : { ...tail.curves };
  for (const { name, steps, values } of push.points) curves[name] = extend(curves[name], steps, values);
  const from = isNewAttempt && tail.attempt > 0 ? Math.min(...push.points.map((point) => point.steps[0] ?? Infinity)) : tail.from;
  return { attempt: push.attempt, from, curves };
}

const NOTHING: Series = { name: "", steps: [], values: [], nonfinite: {} };

/** The whole curve of a metric: the base up to where the tail takes over, then the tail. Each step once. */
export function join(base: Metrics | undefined, tail: Tail, name: string): Curve {
  const series = base?.series.find((item) => item.name === name) ?? NOTHING;
  const kept = tail.from === null ? series.steps.length : firstAtLeast(series.steps, tail.from);
  const steps = series.steps.slice(0, kept);
  const values = series.values.slice(0, kept);
  const curve = tail.curves[name];
  const start = curve ? firstAtLeast(curve.steps, (steps.at(-1) ?? -Infinity) + 1) : 0;
  return {
    steps: steps.concat(curve?.steps.slice(start) ?? []),
    values: values.concat(curve?.values.slice(start) ?? []),
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

/** The first index whose step is at least `step`; steps ascend. */
function firstAtLeast(steps: number[], step: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]! < step) low = middle + 1;
    else high = middle;
  }
  return low;
}
