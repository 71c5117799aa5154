import type uPlot from "uplot";
import type { Range } from "@/components/charts/options";
import { TIME_AXIS } from "@/components/charts/timeAxis";
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

/** The ticks of the axis and what they say; steps have the charts' own. */
export function axisOf(align: Align, phases: string[]): Pick<uPlot.Axis, "values" | "splits" | "align"> | undefined {
  if (align === "time") return TIME_AXIS;
  if (align === "phase") return { align: 1, splits: () => phases.map((_, i) => i), values: () => phases.map((name) => titleOf({ name })) };
  return undefined;
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
