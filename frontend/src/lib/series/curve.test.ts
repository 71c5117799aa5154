import { describe, expect, test } from "vitest";
import { TAIL_POINTS } from "@/config/live";
import type { Metrics } from "@/types/api";
import { EMPTY_TAIL, type Tail, append, join, thin } from "./curve";

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const told = (attempt: number, steps: number[], value = (step: number): number | null => step) => [
  { attempt, series: [{ name: "loss", steps, values: steps.map(value) }] },
];
const base = (steps: number[]): Metrics => ({ job_id: "a", names: ["loss"], series: [{ name: "loss", steps, values: steps.map(() => -1), nonfinite: {} }], layers: [], attempts: [], cursor: {} });

describe("live curves", () => {
  test("what is told follows the base, each step once", () => {
    const tail = append(EMPTY_TAIL, told(1, range(8, 13)));
    expect(join(base(range(0, 10)), tail, "loss").steps).toEqual(range(0, 13));
  });

  test("what is told twice changes nothing", () => {
    const once = append(EMPTY_TAIL, told(1, range(0, 5)));
    expect(append(once, told(1, range(0, 5))).curves.loss).toBe(once.curves.loss);
  });

  test("after a reset the curve is what was told since, whatever was read before", () => {
    const tail = append(append(EMPTY_TAIL, told(1, range(20, 25))), [{ reset: "attempt 2 began" }, ...told(2, range(0, 17))]);
    const curve = join(base(range(0, 20)), tail, "loss");
    expect(curve.steps).toEqual(range(0, 17));
    expect(curve.values.slice(15)).toEqual([15, 16]);
  });

  test("a tail that grows for ever stays bounded and keeps its spike", () => {
    let tail: Tail = EMPTY_TAIL;
    for (const start of range(0, 200)) {
      tail = append(tail, told(1, range(start * 100, start * 100 + 100), (step) => (step === 12_345 ? 1e6 : step % 7)));
      expect(tail.curves.loss!.steps.length).toBeLessThanOrEqual(TAIL_POINTS);
    }
    expect(tail.curves.loss!.values).toContain(1e6);
    expect(tail.curves.loss!.steps).toEqual([...tail.curves.loss!.steps].sort((a, b) => a - b));
  });

  test("thinning keeps gaps", () => {
    const thinned = thin({ steps: range(0, 1000), values: range(0, 1000).map((i) => (i === 500 ? null : i)) }, 100);
    expect(thinned.values).toContain(null);
    expect(thinned.steps.length).toBeLessThanOrEqual(101);
  });
});
