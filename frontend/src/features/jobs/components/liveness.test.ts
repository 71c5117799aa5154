import { expect, test } from "vitest";
import { knownLiveness } from "./liveness";

test.each([
  ["healthy", "pushed", "healthy"],
  ["stalled", "polled", "stalled"],
  ["healthy", "offline", "unknown"],
  ["lost", "offline", "unknown"],
  [null, "pushed", "unknown"],
] as const)("a job told to be %s is, on a page that is %s, %s", (told, mode, known) => {
  expect(knownLiveness(told, mode)).toBe(known);
});
