import type { Artifact, Json, JsonObject } from "@/types/api";

/** Texts by what they are: a prompt, what was preferred, what the model said before and after. */
export type Sample = Record<string, string>;

/** In the order in which one reads them. */
const ORDER = ["prompt", "before", "after", "chosen", "rejected"];

/** What a job tells of what it made, its samples apart. */
export function told({ meta }: Pick<Artifact, "meta">): { facts: JsonObject; samples: Sample[] } {
  const { samples, ...facts } = meta as JsonObject;
  return { facts: rounded(facts) as JsonObject, samples: Array.isArray(samples) ? samples.filter(isSample).map(inOrder) : [] };
}

/** Numbers to the digits that matter. */
function rounded(value: Json): Json {
  if (typeof value === "number") return Number.isInteger(value) ? value : Number(value.toPrecision(4));
  if (Array.isArray(value)) return value.map(rounded);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, rounded(each)]));
}

function inOrder(sample: Sample): Sample {
  const placed = Object.entries(sample).toSorted(([a], [b]) => placeOf(a) - placeOf(b));
  return Object.fromEntries(placed);
}

const placeOf = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);

function isSample(value: Json): value is Sample {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every((text) => typeof text === "string");
}
