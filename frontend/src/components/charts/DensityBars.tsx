import { count, share } from "@/lib/format/numbers";
import type { Densities } from "@/types/api";
import { Bars } from "./Bars";

/** How many features fire on which share of the tokens, over powers of ten. */
export function DensityBars({ label, densities }: { label: string; densities: Densities }) {
  const { log10_edges: edges, counts } = densities;
  const bars = counts.map((each, i) => ({ count: each, title: `${share(10 ** edges[i]!)} to ${share(10 ** edges[i + 1]!)}: ${count(each)}` }));
  const decades = edges.filter((edge) => Number.isInteger(edge));
  return <Bars label={label} bars={bars} ticks={decades.map((edge) => share(10 ** edge))} />;
}
