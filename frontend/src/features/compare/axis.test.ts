import { describe, expect, test } from "vitest";
import { tickTime, timeTicks } from "@/components/charts/timeAxis";
import { placeText, rangeOf } from "./axis";
import { indexAt, ratesByPhase } from "./rates";

describe("the axis of a comparison", () => {
  test("has at most seven round times, whatever its length", () => {
    expect(timeTicks([0, 50])).toEqual([0, 10, 20, 30, 40, 50]);
    for (const end of [1, 7, 61, 599, 3601, 50_000, 9e6]) expect(timeTicks([0, end]).length).toBeLessThanOrEqual(7);
  });

  test.each([
    [40, "40 s"],
    [300, "5 min"],
    [90, "1 min 30 s"],
    [3600, "1 h"],
    [172_800, "2 d"],
  ])("%d s is said as %s", (seconds, text) => expect(tickTime(seconds)).toBe(text));

  test("names a place by time, step or phase", () => {
    expect(placeText("time", 61, [])).toBe("1 min 01 s");
    expect(placeText("step", 1500, [])).toBe("step 1,500");
    expect(placeText("phase", 1.25, ["extracting", "training"])).toBe("Training 25 %");
    expect(placeText("phase", 2, ["extracting", "training"])).toBe("Training 100 %");
  });

  test("reaches over all curves, and over all phases", () => {
    expect(rangeOf("step", [], [{ x: [3, 9] }, { x: [] }, { x: [0, 20] }])).toEqual([0, 20]);
    expect(rangeOf("time", [], [])).toEqual([0, 1]);
    expect(rangeOf("phase", ["a", "b"], [{ x: [0.5] }])).toEqual([0, 2]);
  });
});

test("a phase's rate is the mean over the points that know one", () => {
  const point = (phase: string | null, rate: number | null) => ({ phase, rate }) as never;
  expect(ratesByPhase([point("a", 2), point("a", 4), point("a", null), point(null, 9), point("b", 1)])).toEqual(new Map([["a", 3], ["b", 1]]));
});

test("under the cursor stands the last value before it, and none beyond a curve's ends", () => {
  expect([-1, 0, 4, 5, 9, 10].map((place) => indexAt([0, 5, 9], place))).toEqual([null, 0, 0, 1, 2, null]);
});
