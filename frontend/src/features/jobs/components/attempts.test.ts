import { expect, test } from "vitest";
import type { HistoryPoint } from "@/types/api";
import { rulesOf, rulesOfHistory } from "./attempts";
import { courseOf } from "./course";

const START = Date.parse("2026-01-01T00:00:00Z");
const point = (second: number, attempt: number, percent: number): HistoryPoint => ({
  at: new Date(START + second * 1000).toISOString(),
  attempt,
  revision: second,
  percent,
  phase: null,
  step: null,
  rate: 2,
  eta_seconds: null,
});
const POINTS = [point(0, 1, 0), point(10, 1, 40), point(20, 3, 30), point(30, 3, 60)];

test("every attempt but the first is marked at the step it went on from", () => {
  const attempts = [{ number: 1, resumed_from_step: null }, { number: 2, resumed_from_step: 1400 }, { number: 3, resumed_from_step: null }];
  expect(rulesOf(attempts).map(({ at, label }) => [at, label])).toEqual([[1400, "attempt 2 from step 1,400"], [0, "attempt 3 anew"]]);
});

test("on the axis of time an attempt is marked when it was first heard of", () => {
  expect(rulesOfHistory(POINTS, START)).toEqual([{ at: 20, label: "attempt 3", short: "3" }]);
});

test("the course is broken between attempts, and ends where the job is now", () => {
  const job = { attempt: 3, percent: 65, rate: 3, started_at: POINTS[0]!.at, updated_at: point(32, 3, 65).at };
  expect(courseOf(POINTS, job)).toMatchObject({ start: START, x: [0, 10, 20 - 0.001, 20, 30, 32], percent: [0, 40, null, 30, 60, 65] });
  expect(courseOf(POINTS, { ...job, updated_at: POINTS[3]!.at }).percent).toEqual([0, 40, null, 30, 60]);
});

test("a job that has not started has a course without points", () => {
  const job = { attempt: 0, percent: 0, rate: null, started_at: null, updated_at: point(0, 0, 0).at };
  expect(courseOf([], job)).toEqual({ start: START, x: [], percent: [], rate: [] });
});
