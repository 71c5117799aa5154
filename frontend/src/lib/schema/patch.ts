/** What sets one config apart from another, for people (a diff) and for the API (a patch of its outermost fields). */

import type { Json, JsonObject } from "@/types/api";

export interface Change {
  /** `optimizer.lr` */
  name: string;
  /** Undefined where the field is not there. */
  from: Json | undefined;
  to: Json | undefined;
}

/** The fields that differ, innermost, in the order of the old config and then of the new one. */
export function changesOf(before: JsonObject, after: JsonObject): Change[] {
  const [from, to] = [new Map(leaves(before)), new Map(leaves(after))];
  const names = [...new Set([...from.keys(), ...to.keys()])];
  return names.map((name) => ({ name, from: from.get(name), to: to.get(name) })).filter((change) => !isSame(change.from, change.to));
}

/** The patch that makes `after` of `before`; a field that was emptied goes back to the kind's default. */
export function patchOf(before: JsonObject, after: JsonObject, schema: JsonObject): JsonObject {
  const properties = (schema.properties ?? {}) as Record<string, JsonObject>;
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => !isSame(before[name], after[name]));
  const patch = names.map((name): [string, Json] => [name, after[name] ?? properties[name]?.default ?? null]);
  return Object.fromEntries(patch.filter(([name, value]) => !isSame(before[name], value)));
}

/** A schema whose form shows what it is given: a default would fill in what an old config had left empty. */
export function withoutDefaults(schema: JsonObject): JsonObject {
  const kept = Object.entries(schema).filter(([key]) => key !== "default");
  return Object.fromEntries(kept.map(([key, value]) => [key, key === "properties" || key === "$defs" ? eachOf(value as JsonObject) : bare(value)]));
}

const eachOf = (nodes: JsonObject): JsonObject => Object.fromEntries(Object.entries(nodes).map(([name, node]) => [name, bare(node)]));

function bare(value: Json): Json {
  if (Array.isArray(value)) return value.map(bare);
  return value !== null && typeof value === "object" ? withoutDefaults(value) : value;
}

/** The innermost fields by their dotted names; a list is one. */
export function leaves(value: JsonObject, prefix = ""): [string, Json][] {
  return Object.entries(value).flatMap(([key, item]): [string, Json][] => {
    const isGroup = item !== null && typeof item === "object" && !Array.isArray(item);
    return isGroup ? leaves(item, `${prefix}${key}.`) : [[prefix + key, item]];
  });
}

const isSame = (a: Json | undefined, b: Json | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);
