import type { Rule } from "@/components/charts/rules";
import { count } from "@/lib/format/numbers";
import type { Attempt, HistoryPoint } from "@/types/api";

/** On an axis of steps: where each attempt but the first went on. */
export function rulesOf(attempts: Attempt[]): Rule[] {
  return attempts.slice(1).map(({ number, resumed_from_step: step }) => ({
    at: step ?? 0,
    label: `attempt ${number} ${step === null ? "anew" : `from step ${count(step)}`}`,
    short: String(number),
  }));
}

/** On an axis of seconds since the start: when each attempt but the first was first heard of. */
export function rulesOfHistory(points: HistoryPoint[], start: number): Rule[] {
  return points
    .filter((point, i) => i > 0 && point.attempt > points[i - 1]!.attempt)
    .map(({ at, attempt }) => ({ at: (Date.parse(at) - start) / 1000, label: `attempt ${attempt}`, short: String(attempt) }));
}
