import { expect, test } from "vitest";
import { FIGURES, parametersText, percentText } from "./figures";

test("a figure that is not defined is a dash, not a zero", () => {
  expect(FIGURES.map((figure) => figure.text(null))).toEqual(FIGURES.map(() => "–"));
  expect(percentText(0)).toBe("0.00 %");
  expect(percentText(-4.256)).toBe("\u22124.26 %");
});

test("parameters are said in one line, and a window without any says that it was not traded", () => {
  expect(parametersText({ fast: 10, pierce_depth: 0.0005 })).toBe("fast 10, pierce_depth 5e\u22124");
  expect(parametersText(null)).toBe("none: not traded");
});
