import { describe, expect, test } from "vitest";
import { type Lead, type Told, advance } from "./lead";

const told = (value: number, at: number, rest: Partial<Told> = {}): Told => ({ value, at, run: "1", moving: true, ...rest });
const run = (...steps: Told[]): Lead[] => {
  const leads: Lead[] = [];
  for (const step of steps) leads.push(advance(leads.at(-1) ?? null, step));
  return leads;
};

describe("advance", () => {
  test("the first telling stands where it is told", () => {
    expect(advance(null, told(0.3, 0))).toMatchObject({ target: 0.3, durationMs: 0 });
  });

  test("the bar heads for the next expected telling, in the time it is expected in", () => {
    const [, second] = run(told(0.1, 0), told(0.12, 200));
    expect(second!.target).toBeCloseTo(0.14);
    expect(second!.durationMs).toBe(200);
  });

  test("it moves ten times a second at most, and only as far as can be seen", () => {
    expect(run(told(0.1, 0), told(0.3, 2000)).at(-1)).toMatchObject({ durationMs: 2000, moves: 20 });
    expect(run(told(0.1, 0), told(0.101, 10_000)).at(-1)).toMatchObject({ durationMs: 10_000, moves: 4 });
    expect(run(told(0.1, 0), told(0.10001, 10_000)).at(-1)).toMatchObject({ moves: 1 });
  });

  test("it is never more than one expected telling ahead of the truth at an even pace", () => {
    for (const [i, lead] of run(...Array.from({ length: 50 }, (_, i) => told(i / 100, i * 100))).entries()) {
      expect(lead.target - i / 100).toBeLessThanOrEqual(0.01 + 1e-9);
    }
  });

  test("it never goes back within a run, however the pace changes", () => {
    const leads = run(told(0.1, 0), told(0.3, 100), told(0.301, 200), told(0.302, 900), told(0.302, 1000), told(0.29, 1100), told(0.6, 90000));
    const targets = leads.map((lead) => lead.target);
    expect(targets).toEqual([...targets].sort((a, b) => a - b));
  });

  test("a new attempt may start lower", () => {
    expect(run(told(0.8, 0), told(0.4, 100, { run: "2" })).at(-1)).toMatchObject({ target: 0.4, durationMs: 0 });
  });

  test("what ended shows the truth exactly", () => {
    expect(run(told(0.5, 0), told(0.9, 100), told(1, 200, { moving: false })).at(-1)!.target).toBe(1);
    expect(run(told(0.5, 0), told(0.6, 100), told(0.61, 200, { moving: false })).at(-1)!.target).toBe(0.61);
  });

  test("it never passes the end", () => {
    expect(run(told(0.5, 0), told(0.9, 100)).at(-1)!.target).toBe(1);
  });
});
