import type uPlot from "uplot";
import type { Range } from "@/components/charts/options";
import { titleOf } from "@/components/jobs/activity";
import { count } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";

/** What the axis below counts: seconds worked, steps, or phases (1.5: half of the second). */
export type Align = "time" | "step" | "phase";

export const ALIGNS: { value: Align; label: string }[] = [
  { value: "time", label: "Time" },
  { value: "step", label: "Step" },
  { value: "phase", label: "Phase" },
];

const MAX_TICKS = 6;
/** Seconds a person counts in. */
const ROUND_SECONDS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400];

/** The ticks of the axis and what they say; steps have the charts' own. */
export function axisOf(align: Align, phases: string[]): Pick<uPlot.Axis, "values" | "splits" | "align"> | undefined {
  if (align === "time") return { splits: (_chart, _axis, min, max) => timeTicks([min, max]), values: (_, ticks) => ticks.map(tickTime) };
  if (align === "phase") return { align: 1, splits: () => phases.map((_, i) => i), values: () => phases.map((name) => titleOf({ name })) };
  return undefined;
}

/** At most six round times within a range. */
export function timeTicks([min, max]: Range): number[] {
  const wanted = (max - min) / MAX_TICKS;
  const days = Math.ceil(wanted / 86_400) * 86_400;
  const every = ROUND_SECONDS.find((seconds) => seconds >= wanted) ?? days;
  const first = Math.ceil(min / every) * every;
  return Array.from({ length: Math.floor((max - first) / every) + 1 }, (_, i) => first + i * every);
}

/** `40 s`, `5 min`, `1 h 30 min`: no more places than a round time needs. */
export function tickTime(seconds: number): string {
  return duration(seconds).replace(/ (0+ (s|min)|0 h)$/, "");
}

/** A place on the axis in words. */
export function placeText(align: Align, place: number, phases: string[]): string {
  if (align === "time") return duration(place);
  if (align === "step") return `step ${count(Math.round(place))}`;
  const index = Math.min(Math.floor(place), phases.length - 1);
  return `${titleOf({ name: phases[index] ?? "" })} ${Math.round((place - index) * 100)} %`;
}

/** From where to where the curves reach; phases are always shown whole. */
export function rangeOf(align: Align, phases: string[], curves: { x: number[] }[]): Range {
  if (align === "phase") return [0, Math.max(1, phases.length)];
  const ends = curves.flatMap(({ x }) => [x[0], x.at(-1)]).filter((place) => place !== undefined);
  const first = Math.min(0, ...ends);
  return [first, Math.max(first + 1, ...ends)];
}
