import type { HistoryPoint } from "@/types/api";

/** The mean rate of each phase, items a second, over the points at which one was known. */
export function ratesByPhase(points: HistoryPoint[]): Map<string, number> {
  const known = new Map<string, { sum: number; count: number }>();
  for (const { phase, rate } of points) {
    if (phase === null || rate === null) continue;
    const { sum, count } = known.get(phase) ?? { sum: 0, count: 0 };
    known.set(phase, { sum: sum + rate, count: count + 1 });
  }
  return new Map([...known].map(([phase, { sum, count }]) => [phase, sum / count]));
}

/** The last of ascending places that is not after `place`; null where the places have not begun or have ended. */
export function indexAt(places: number[], place: number): number | null {
  const last = places.at(-1);
  if (last === undefined || place > last) return null;
  const index = places.findLastIndex((known) => known <= place);
  return index < 0 ? null : index;
}
