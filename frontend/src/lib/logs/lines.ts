import { LOG_LINES } from "@/config/live";
import type { LogLine } from "@/types/api";

/** Two runs of lines as one: each number once, in order, the newest `LOG_LINES` of them. */
export function mergeLines(held: readonly LogLine[], incoming: readonly LogLine[]): LogLine[] {
  const last = held.at(-1)?.no ?? -Infinity;
  const isAfter = incoming.every((line, i) => line.no > (incoming[i - 1]?.no ?? last));
  if (isAfter) return [...held, ...incoming].slice(-LOG_LINES);
  const byNo = new Map([...held, ...incoming].map((line) => [line.no, line]));
  return [...byNo.values()].sort((a, b) => a.no - b.no).slice(-LOG_LINES);
}
