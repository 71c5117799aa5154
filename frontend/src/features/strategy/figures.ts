import { metric } from "@/lib/format/numbers";

type Value = number | null | undefined;

/** The figures of a replay, in the order they are read, in words. */
export const FIGURES: { name: string; title: string; text: (value: Value) => string }[] = [
  { name: "return_percent", title: "Return", text: percentText },
  { name: "sharpe", title: "Sharpe", text: metric },
  { name: "sortino", title: "Sortino", text: metric },
  { name: "max_drawdown_percent", title: "Deepest fall", text: percentText },
  { name: "win_rate_percent", title: "Trades won", text: percentText },
  { name: "profit_factor", title: "Profit factor", text: metric },
  { name: "trades", title: "Trades", text: metric },
];

export const PARTS: { name: string; title: string; colour: string }[] = [
  { name: "in_sample", title: "In sample", colour: "--series-1" },
  { name: "out_of_sample", title: "Held out", colour: "--series-2" },
  { name: "walk_forward", title: "Walk-forward", colour: "--series-3" },
];

/** `12.34 %`, with a true minus sign; a dash where it is not defined. */
export function percentText(value: Value): string {
  return value === null || value === undefined ? "–" : `${value.toFixed(2).replace("-", "\u2212")} %`;
}

/** `fast 10, slow 50` */
export function parametersText(parameters: Record<string, number> | null): string {
  if (!parameters) return "none: not traded";
  return Object.entries(parameters)
    .map(([name, value]) => `${name} ${metric(value)}`)
    .join(", ");
}
