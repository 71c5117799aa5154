import { expect, test } from "vitest";
import { shown, strengthOf } from "./shading";

test("the accent grows with the activation, and what does not fire has none", () => {
  expect(strengthOf(0, 10)).toBe(0);
  expect(strengthOf(0.001, 10)).toBe(8);
  expect(strengthOf(5, 10)).toBe(32);
  expect(strengthOf(12, 10)).toBe(55);
  expect(strengthOf(1, 0)).toBe(0);
});

test("line ends and tabs can be seen", () => {
  expect(shown("a\n\tb")).toBe("a⏎⇥b");
});
