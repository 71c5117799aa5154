import { count, share } from "@/lib/format/numbers";
import type { Densities } from "@/types/api";
import { Bars } from "./Bars";

/** The axis says every so many powers of ten: more would not fit side by side. */
const TOLD_DECADES = 2;

/** How many features fire on which share of the tokens, over powers of ten. */
export function DensityBars({ label, densities }: { label: string; densities: Densities }) {
  const { log10_edges: edges, counts } = densities;
  const bars = counts.map((each, i) => ({ count: each, title: `${share(10 ** edges[i]!)} to ${share(10 ** edges[i + 1]!)}: ${count(each)}` }));
  const [first = 0, last = 0] = [edges[0], edges.at(-1)];
  const told = edges.filter((edge) => Number.isInteger(edge / TOLD_DECADES));
  return <Bars label={label} bars={bars} ticks={told.map((edge) => ({ at: (edge - first) / (last - first), text: share(10 ** edge) }))} />;
}
