/** Newest wins: the one rule by which a snapshot replaces another, wherever it came from. */

interface Revised {
  revision: number;
}

/** The newer of what is held and what came in. Equal revisions are the same state, freshly told: the incoming one is taken. */
export function newest<T extends Revised>(held: T | undefined, incoming: T): T {
  return held && held.revision > incoming.revision ? held : incoming;
}

/** A list as it came in, except where an item already held is newer. */
export function newestItems<T extends Revised & { id: string }>(held: readonly T[], incoming: readonly T[]): T[] {
  const known = new Map(held.map((item) => [item.id, item]));
  return incoming.map((item) => newest(known.get(item.id), item));
}

/** The list with one item replaced, if it is in it and not newer already; the very same list if nothing changes. */
export function patchItem<T extends Revised & { id: string }>(items: readonly T[], incoming: T): readonly T[] {
  const index = items.findIndex((item) => item.id === incoming.id);
  const held = items[index];
  if (!held || newest(held, incoming) === held) return items;
  return items.with(index, { ...held, ...incoming });
}
