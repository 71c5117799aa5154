/** What people look at first comes first: the loss, then what tells of quality, then the rest in the order it came. */
const FIRST = [/(^|\/)loss$/, /margin/, /fvu|accuracy|score|perplexity/, /l0|dead|reward/];
/** What was tried, not what came of it, whatever it is called. */
const TRIED = /(^|_)params\//;

const placeOf = (name: string): number => {
  const index = TRIED.test(name) ? -1 : FIRST.findIndex((pattern) => pattern.test(name.toLowerCase()));
  return index < 0 ? FIRST.length : index;
};

/** The metrics to show: those the reader picked, or else the first `most` by what matters. */
export function chosen(names: string[], picked: string[] | null, most: number): string[] {
  if (picked) return names.filter((name) => picked.includes(name));
  return names.toSorted((a, b) => placeOf(a) - placeOf(b)).slice(0, most);
}
