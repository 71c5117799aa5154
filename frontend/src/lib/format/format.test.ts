import { describe, expect, test } from "vitest";
import * as n from "./numbers";
import * as t from "./times";

const AT = Date.parse("2026-11-21T12:00:00.000Z");

describe("numbers", () => {
  test.each([
    [0, "0.00 %"],
    [43.27, "43.27 %"],
    [99.99, "99.99 %"],
    [100, "100.00 %"],
  ])("percent %f keeps two decimals", (value, text) => expect(n.percent(value)).toBe(text));

  test.each([
    [0, "0 %"],
    [0.0312, "3.1 %"],
    [0.00001, "0.001 %"],
    [1e-8, "0.000001 %"],
    [1, "100 %"],
  ])("share %f reads %s", (value, text) => expect(n.share(value)).toBe(text));

  test.each([
    [12345.6, "step", "12,346 step/s"],
    [123.4, "step", "123 step/s"],
    [1.234, "step", "1.23 step/s"],
    [0.5, "epoch", "30.0 epoch/min"],
    [0.001, "epoch", "3.60 epoch/h"],
    [2_500_000, "byte", "2.5 MB/s"],
    [null, "step", "–"],
  ])("rate %f of %s reads %s", (value, unit, text) => expect(n.rate(value, unit)).toBe(text));

  test("counters read outermost first with thousands grouped", () => {
    const list = [
      { unit: "epoch", current: 1, total: 3 },
      { unit: "step", current: 456, total: 1000 },
    ];
    expect(n.counters(list)).toBe("Epoch 1/3 · Step 456/1,000");
    expect(n.counters([{ unit: "row", current: 12345, total: null }])).toBe("Row 12,345");
    const uneven = [
      { unit: "epoch", current: 0, total: 2.5 },
      { unit: "example", current: 1.962, total: 3.923 },
    ];
    expect(n.counters(uneven)).toBe("Epoch 0/2.5 · Example 2/4");
    expect(n.counters([{ unit: "bytes", current: 1_500_000, total: 3_000_000 }])).toBe("1.5 MB of 3.0 MB");
  });

  test.each([
    [0.123456, "0.1235"],
    [0.00001234, "1.23e\u22125"],
    [-2.5, "\u22122.5"],
    [1234.56, "1,234.6"],
    [0, "0"],
    [null, "–"],
  ])("metric %f reads %s", (value, text) => expect(n.metric(value)).toBe(text));
});

describe("times", () => {
  test.each([
    [42, "42 s"],
    [185, "3 min 05 s"],
    [7620, "2 h 07 min"],
    [273_600, "3 d 4 h"],
    [null, "–"],
  ])("duration %f reads %s", (value, text) => expect(t.duration(value)).toBe(text));

  test("an arrival counts from when the estimate was made, and shows seconds only when near", () => {
    const made = { updated_at: new Date(AT).toISOString() };
    const far = t.arrival({ ...made, eta_seconds: 3600, eta_low_seconds: 3000, eta_high_seconds: 4200 }, AT + 5000);
    expect(far?.at).toBe(t.clock(AT + 3_600_000, AT));
    const near = t.arrival({ ...made, eta_seconds: 30, eta_low_seconds: null, eta_high_seconds: null }, AT);
    expect(near).toEqual({ at: t.clock(AT + 30_000, AT, true), low: null, high: null });
    expect(t.arrival({ ...made, eta_seconds: null }, AT)).toBeNull();
  });
});
