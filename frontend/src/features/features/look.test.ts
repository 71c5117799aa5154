import { expect, test } from "vitest";
import { lookOf, searchOf, sorted } from "./look";

test("an address without a word stands for the densest features first", () => {
  const look = lookOf({});
  expect(look).toMatchObject({ sort: "density", order: "desc" });
  expect(Object.values(searchOf(look)).every((value) => value === undefined)).toBe(true);
});

test("what is looked at comes back from its own address", () => {
  const look = lookOf({ sae: "layer3", feature: 12, sort: "label", order: "desc", q: "sea", density: "rare", labelled: true });
  expect(lookOf(searchOf(look))).toEqual(look);
});

test("what an address says wrongly is left out", () => {
  expect(lookOf({ sort: "colour", order: "up", feature: "x", density: "pink", labelled: "yes" })).toEqual(lookOf({}));
  expect(lookOf({ q: 123 }).q).toBe("123");
});

test("the same order asked for again is turned round, another one begins at its own end", () => {
  const look = lookOf({});
  expect(sorted(look, "density")).toEqual({ sort: "density", order: "asc" });
  expect(sorted(look, "index")).toEqual({ sort: "index", order: "asc" });
});
