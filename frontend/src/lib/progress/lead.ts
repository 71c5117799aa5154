/** Where a bar is heading between two pushes: on at the pace of late, never past the next expected push, never back. */

/** Pushes further apart than this say nothing about when the next one comes. */
const MAX_INTERVAL_MS = 60_000;
const SETTLE_MS = 250;
/** A bar moves ten times a second and by a visible piece: at every frame it would keep a screen busy for nothing. */
const MOVE_MS = 100;
const PIECES = 2000;

export interface Told {
  /** The truth as told, 0 to 1. */
  value: number;
  /** When it was true, in ms of the server's clock. */
  at: number;
  /** A new run of it (another attempt, another job) may start lower. */
  run: string;
  /** False once nothing moves any more: then the truth alone is shown. */
  moving: boolean;
}

export interface Lead {
  told: Told;
  target: number;
  durationMs: number;
  /** In how many moves it goes there. */
  moves: number;
}

/** The bar's next target and the time to take for it. */
export function advance(lead: Lead | null, told: Told): Lead {
  if (!lead || lead.told.run !== told.run) return { told, target: told.value, durationMs: 0, moves: 1 };
  if (!told.moving) return towards(lead, told, told.value, SETTLE_MS);
  const gain = told.value - lead.told.value;
  const interval = told.at - lead.told.at;
  if (gain <= 0 || interval <= 0) return lead;
  if (interval > MAX_INTERVAL_MS) return towards(lead, told, Math.max(told.value, lead.target), SETTLE_MS);
  return towards(lead, told, Math.min(1, Math.max(lead.target, told.value + gain)), interval);
}

function towards(lead: Lead, told: Told, target: number, durationMs: number): Lead {
  const pieces = Math.abs(target - lead.target) * PIECES;
  return { told, target, durationMs, moves: Math.max(1, Math.round(Math.min(durationMs / MOVE_MS, pieces))) };
}
