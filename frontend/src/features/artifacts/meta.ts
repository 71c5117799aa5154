/** What artifacts say of themselves, by type: kinds write it, older ones may lack some of it. */

import type { Artifact } from "@/types/api";

export interface SaeFigures {
  folder: string;
  layer: number;
  hook: string;
  architecture: string;
  d_sae: number;
  k?: number;
  coefficient?: number;
  lr?: number;
  seed?: number;
  fvu?: number;
  l0?: number;
  cosine?: number;
  dead_fraction?: number;
  dense_fraction?: number;
}

export interface SaeMeta {
  d_in?: number;
  d_sae?: number;
  rows?: number;
  saes?: SaeFigures[];
}

export const saeMeta = (item: Artifact) => item.meta as unknown as SaeMeta;

/** A value of the meta as text; what is not there reads as a dash. */
export function told(item: Artifact, key: string): string {
  const value = (item.meta as Record<string, unknown>)[key];
  if (value === undefined || value === null || value === "") return "–";
  return Array.isArray(value) ? value.join(", ") : String(value);
}

export function toldCount(item: Artifact, key: string): number | null {
  const value = (item.meta as Record<string, unknown>)[key];
  return typeof value === "number" ? value : null;
}

/** One SAE in an evaluation; without a language model's head there are no losses. */
export interface EvaluatedSae {
  sae: string;
  layer: number;
  hook: string;
  architecture: string;
  d_sae: number;
  fvu: number;
  explained_variance: number;
  cosine: number;
  l0: number;
  dead_fraction: number;
  dense_fraction: number;
  ce_clean: number | null;
  ce_sae: number | null;
  ce_recovered: number | null;
  kl_sae: number | null;
  kl_recovered: number | null;
}

/** The file of an evaluation. */
export interface Evaluation {
  dataset: string | null;
  tokens: number;
  predicted_tokens: number;
  no_predictions: string | null;
  saes: (EvaluatedSae & { densities: { log10_edges: number[]; counts: number[]; never: number } })[];
}
