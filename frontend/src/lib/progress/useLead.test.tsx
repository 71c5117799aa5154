// @vitest-environment jsdom
import { MantineProvider } from "@mantine/core";
import { renderHook } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";
import { useLead } from "./useLead";

const input = (percent: number, seconds: number, rest = {}) => ({
  percent,
  run: "a/1",
  moving: true,
  updatedAt: new Date(Date.UTC(2026, 10, 21, 12, 0, 0) + seconds * 1000).toISOString(),
  ...rest,
});

function prefer(reducedMotion: boolean) {
  window.matchMedia = vi.fn().mockImplementation((query: string) => ({
    matches: reducedMotion && query.includes("reduced-motion"),
    addEventListener: vi.fn(),
    removeEventListener: vi.fn(),
  }));
}

const lead = () => renderHook(useLead, { initialProps: input(25, 0), wrapper: MantineProvider });

beforeEach(() => prefer(false));

test("the bar heads for where the next telling is expected, in the time until then", () => {
  const { result, rerender } = lead();
  expect(result.current.transform).toBe("scaleX(0.25)");
  rerender(input(50, 2));
  expect(result.current).toEqual({ transform: "scaleX(0.75)", transition: "transform 2000ms steps(20)" });
});

test("a bar that is told of ten times a second moves with each telling and has no transition", () => {
  const { result, rerender } = lead();
  rerender(input(30, 0.1));
  expect(result.current).toEqual({ transform: "scaleX(0.35)" });
});

test("the same telling drawn again changes nothing", () => {
  const { result, rerender } = lead();
  rerender(input(12, 2));
  const before = result.current;
  rerender(input(12, 2.5));
  expect(result.current).toEqual(before);
});

test("what has ended stands exactly where it ended", () => {
  const { result, rerender } = lead();
  rerender(input(60, 1));
  rerender(input(61, 2, { moving: false }));
  expect(result.current.transform).toBe("scaleX(0.61)");
});

test("who asked for less motion gets the truth without a transition", () => {
  prefer(true);
  const { result, rerender } = lead();
  rerender(input(12, 2));
  expect(result.current).toEqual({ transform: "scaleX(0.12)" });
});
