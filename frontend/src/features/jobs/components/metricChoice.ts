/** What people look at first comes first: the loss, then what tells of quality, then the rest in the order it came. */
const FIRST = [/(^|\/)loss$/, /fvu|accuracy|score|reward|perplexity/, /l0|dead|margin/];

const placeOf = (name: string): number => {
  const index = FIRST.findIndex((pattern) => pattern.test(name.toLowerCase()));
  return index < 0 ? FIRST.length : index;
};

/** The metrics to show: those the reader picked, or else the first `most` by what matters. */
export function chosen(names: string[], picked: string[] | null, most: number): string[] {
  if (picked) return names.filter((name) => picked.includes(name));
  return names.toSorted((a, b) => placeOf(a) - placeOf(b)).slice(0, most);
}
