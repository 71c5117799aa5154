/** How strongly a feature fires on a token, as the strength of the accent behind it. */

/** Behind what fires at all, and behind the strongest: dark and light text stay readable on both. */
const FAINT = 8;
const STRONG = 55;

/** Percent of the accent behind a token; 0 for one on which the feature does not fire. */
export function strengthOf(activation: number, max: number): number {
  if (activation <= 0 || max <= 0) return 0;
  return Math.round(FAINT + (STRONG - FAINT) * Math.min(1, activation / max));
}

/** A token as it is shown: what has no shape of its own gets one. */
export function shown(token: string): string {
  return token.replaceAll("\r", "␍").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}
