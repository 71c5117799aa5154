import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { paced } from "./paced";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("ten tellings in a second are shown at its start and four times in it, the last one too", () => {
  let told = 0;
  const seen: number[] = [];
  const { tell } = paced(() => seen.push(told), 250);
  for (told = 1; told <= 10; told += 1) {
    tell(false);
    vi.advanceTimersByTime(100);
  }
  expect(seen).toEqual([1, 3, 5, 8, 10]);
  vi.advanceTimersByTime(1000);
  expect(seen).toHaveLength(5);
});

test("what becomes whole is shown at once", () => {
  const show = vi.fn();
  const { tell } = paced(show, 250);
  tell(false);
  tell(true);
  expect(show.mock.calls).toEqual([[false], [true]]);
});

test("nothing is shown any more once it is stopped", () => {
  const show = vi.fn();
  const { tell, stop } = paced(show, 250);
  tell(false);
  tell(false);
  stop();
  tell(true);
  vi.advanceTimersByTime(1000);
  expect(show).toHaveBeenCalledTimes(1);
});
