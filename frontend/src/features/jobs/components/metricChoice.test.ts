import { expect, test } from "vitest";
import { chosen } from "./metricChoice";

test("losses come first, then quality, then the rest in the order it came", () => {
  expect(chosen(["lr", "l0", "train/loss", "fvu"], null, 3)).toEqual(["train/loss", "fvu", "l0"]);
});

test("what the reader picked is shown as it is, and what is gone is left out", () => {
  expect(chosen(["a", "b", "c"], ["c", "gone"], 6)).toEqual(["c"]);
});
