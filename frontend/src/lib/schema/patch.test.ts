import { expect, test } from "vitest";
import { changesOf, patchOf, withoutDefaults } from "./patch";

const OLD = { k: 32, optimizer: { name: "adam", lr: 0.1 }, layers: [3, 5], seed: 1 };
const NEW = { k: 64, optimizer: { name: "adam", lr: 0.2 }, layers: [3, 5], fail_at: { step: 3 } };

test("a diff names the innermost fields that differ, and no other", () => {
  expect(changesOf(OLD, NEW)).toEqual([
    { name: "k", from: 32, to: 64 },
    { name: "optimizer.lr", from: 0.1, to: 0.2 },
    { name: "seed", from: 1, to: undefined },
    { name: "fail_at.step", from: undefined, to: 3 },
  ]);
  expect(changesOf(OLD, structuredClone(OLD))).toEqual([]);
});

test("a patch holds the outermost fields whole, and the default of what was emptied", () => {
  const schema = { properties: { seed: { default: 7 }, k: { default: 16 } } };
  expect(patchOf(OLD, NEW, schema)).toEqual({ k: 64, optimizer: { name: "adam", lr: 0.2 }, seed: 7, fail_at: { step: 3 } });
  expect(patchOf(OLD, { ...OLD, k: 1 }, schema)).toEqual({ k: 1 });
  expect(patchOf({ note: "a" }, {}, schema)).toEqual({ note: null });
  expect(patchOf({ k: 16 }, {}, schema)).toEqual({});
});

test("a schema loses its defaults everywhere, but no field that is called default", () => {
  const schema = { properties: { default: { type: "integer", default: 3 } }, $defs: { A: { properties: { b: { default: 1, title: "B" } } } } };
  expect(withoutDefaults(schema)).toEqual({ properties: { default: { type: "integer" } }, $defs: { A: { properties: { b: { title: "B" } } } } });
});
