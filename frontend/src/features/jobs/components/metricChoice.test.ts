import { expect, test } from "vitest";
import { chosen } from "./metricChoice";

test("losses come first, then quality, then the rest in the order it came", () => {
  expect(chosen(["lr", "l0", "train/loss", "fvu"], null, 3)).toEqual(["train/loss", "fvu", "l0"]);
});

test("a margin is shown with that on pairs held out, and what was tried comes last", () => {
  const tuned = ["loss", "rewards/chosen", "rewards/margins", "eval/rewards/chosen", "eval/rewards/margins"];
  expect(chosen(tuned, null, 3)).toEqual(["loss", "rewards/margins", "eval/rewards/margins"]);
  expect(chosen(["params/reward", "trades", "best_params/reward", "score"], null, 2)).toEqual(["score", "params/reward"]);
});

test("what the reader picked is shown as it is, and what is gone is left out", () => {
  expect(chosen(["a", "b", "c"], ["c", "gone"], 6)).toEqual(["c"]);
});
