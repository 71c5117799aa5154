import type { Rule } from "@/components/charts/rules";
import { count, percent } from "@/lib/format/numbers";
import type { Attempt, HistoryPoint } from "@/types/api";

/** On an axis of steps: where each attempt but the first went on. */
export function rulesOf(attempts: Attempt[]): Rule[] {
  return attempts.slice(1).map(({ number, resumed_from_step: step }) =>
    step === null ? { at: 0, label: `attempt ${number} anew` } : { at: step, label: `attempt ${number} from step ${count(step)}` },
  );
}

/** On an axis of seconds since the start: when each attempt but the first was first heard of, and how far it was. */
export function rulesOfHistory(points: HistoryPoint[], start: number): Rule[] {
  return points
    .filter((point, i) => i > 0 && point.attempt > points[i - 1]!.attempt)
    .map((point) => ({ at: (Date.parse(point.at) - start) / 1000, label: `attempt ${point.attempt} from ${percent(point.percent)}` }));
}
