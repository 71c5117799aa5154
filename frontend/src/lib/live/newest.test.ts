import { describe, expect, test } from "vitest";
import { newest, newestItems, patchItem } from "./newest";

const job = (id: string, revision: number, state = "running") => ({ id, revision, state });

describe("newest", () => {
  test("a stale snapshot never replaces a newer one", () => {
    const held = job("a", 7);
    expect(newest(held, job("a", 6))).toBe(held);
  });

  test("any order of arrival ends at the final state", () => {
    const told = [1, 2, 3, 4].map((revision) => job("a", revision, revision === 4 ? "completed" : "running"));
    for (const order of permutations(told)) {
      const shown = order.reduce<ReturnType<typeof job> | undefined>((held, next) => newest(held, next), undefined);
      expect(shown?.state).toBe("completed");
    }
  });

  test("revisions shown only grow, whatever arrives", () => {
    for (const order of permutations([1, 2, 3, 4].map((revision) => job("a", revision)))) {
      let held: ReturnType<typeof job> | undefined;
      for (const next of order) {
        const shown = newest(held, next);
        expect(shown.revision).toBeGreaterThanOrEqual(held?.revision ?? 0);
        held = shown;
      }
    }
  });
});

describe("lists", () => {
  test("a list read before a push does not take the push back", () => {
    const held = [job("a", 9, "completed"), job("b", 1)];
    expect(newestItems(held, [job("a", 8), job("b", 2), job("c", 1)])).toEqual([job("a", 9, "completed"), job("b", 2), job("c", 1)]);
  });

  test("a patch changes its item alone, and an old one nothing", () => {
    const items = [job("a", 1), job("b", 5)];
    expect(patchItem(items, job("a", 2, "failed"))).toEqual([job("a", 2, "failed"), job("b", 5)]);
    expect(patchItem(items, job("b", 4))).toBe(items);
    expect(patchItem(items, job("z", 4))).toBe(items);
  });
});

function permutations<T>(items: T[]): T[][] {
  if (items.length < 2) return [items];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
