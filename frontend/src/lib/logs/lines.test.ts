import { expect, test } from "vitest";
import { LOG_LINES } from "@/config/live";
import { mergeLines } from "./lines";

const lines = (...numbers: number[]) => numbers.map((no) => ({ no, at: "", level: "info", text: String(no), attempt: 1 }));

test("lines told twice or out of order appear once and in order", () => {
  expect(mergeLines(lines(1, 2, 5), lines(4, 5, 3, 6)).map((line) => line.no)).toEqual([1, 2, 3, 4, 5, 6]);
});

test("the newest lines are kept, and no more than the limit", () => {
  const many = lines(...Array.from({ length: LOG_LINES }, (_, i) => i));
  const merged = mergeLines(many, lines(LOG_LINES));
  expect(merged.length).toBe(LOG_LINES);
  expect(merged.at(-1)?.no).toBe(LOG_LINES);
});
