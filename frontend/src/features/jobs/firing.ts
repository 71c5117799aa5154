/** What the features of SAEs do at a checkpoint: read from the metrics that `sae.train` leaves with it. */

import type { Densities } from "@/types/api";

export interface Firing {
  /** Empty where only one SAE is trained. */
  sae: string;
  alive: number;
  features: number;
  denseFraction: number;
  densities: Densities;
}

const ALIVE = /^(.*\/)?alive$/;
const DECADES = ["below", "1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1"];
const LOG10_EDGES = [-7, -6, -5, -4, -3, -2, -1, 0];

/** One entry an SAE, in the order of the metrics; empty for the checkpoint of something else. */
export function firingOf(metrics: Record<string, number>): Firing[] {
  return Object.entries(metrics).flatMap(([name, alive]) => {
    const prefix = ALIVE.exec(name) && name.slice(0, -"alive".length);
    if (prefix === null || metrics[`${prefix}density/never`] === undefined) return [];
    const of = (key: string) => metrics[prefix + key] ?? 0;
    const densities = { log10_edges: LOG10_EDGES, counts: DECADES.map((decade) => of(`density/${decade}`)), never: of("density/never") };
    const features = densities.counts.reduce((sum, count) => sum + count, densities.never);
    return [{ sae: prefix.replace(/\/$/, ""), alive, features, denseFraction: of("dense_fraction"), densities }];
  });
}

const OF_FEATURES = /(^|\/)(density\/.*|alive|dense_fraction)$/;

/** What a checkpoint tells beside its features. */
export function withoutFiring(metrics: Record<string, number>): [string, number][] {
  return Object.entries(metrics).filter(([name]) => !OF_FEATURES.test(name));
}
