import { expect, test } from "vitest";
import { firingOf, withoutFiring } from "./firing";

const one = (prefix: string) => ({
  [`${prefix}loss`]: 0.2,
  [`${prefix}alive`]: 90,
  [`${prefix}dense_fraction`]: 0.01,
  [`${prefix}density/never`]: 10,
  [`${prefix}density/1e-3`]: 85,
  [`${prefix}density/1e-1`]: 5,
});

test("a checkpoint tells what the features of each SAE do", () => {
  const [first, second] = firingOf({ ...one("layer3/"), ...one("layer5/wide/") });
  expect([first?.sae, second?.sae]).toEqual(["layer3", "layer5/wide"]);
  expect(first).toMatchObject({ alive: 90, features: 100, denseFraction: 0.01 });
  expect(first?.densities).toEqual({ log10_edges: [-7, -6, -5, -4, -3, -2, -1, 0], counts: [0, 0, 0, 0, 85, 0, 5], never: 10 });
});

test("a single SAE has no name, and other checkpoints tell of no features", () => {
  expect(firingOf(one(""))[0]?.sae).toBe("");
  expect(firingOf({ loss: 1, alive: 3 })).toEqual([]);
});

test("what is shown as a picture is left out of the list", () => {
  expect(withoutFiring(one("layer3/"))).toEqual([["layer3/loss", 0.2]]);
});
