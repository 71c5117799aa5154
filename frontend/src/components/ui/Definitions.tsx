import type { ReactNode } from "react";
import type { Json, JsonObject } from "@/types/api";
import classes from "./Definitions.module.css";

/** Names and values as a two-column table that wraps on a phone. */
export function Definitions({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <dl className={classes.list}>
      {rows.map(([name, value]) => (
        <div className={classes.row} key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A JSON object flattened to dotted names. */
export function jsonRows(value: JsonObject | null, prefix = ""): [string, ReactNode][] {
  return Object.entries(value ?? {}).flatMap(([key, item]): [string, ReactNode][] => {
    const name = prefix + key;
    if (item !== null && typeof item === "object" && !Array.isArray(item) && Object.keys(item).length > 0) return jsonRows(item, `${name}.`);
    return [[name, <span className="mono">{text(item)}</span>]];
  });
}

function text(value: Json): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map((item) => (typeof item === "object" ? JSON.stringify(item) : String(item))).join(", ") || "none";
  return value === null ? "none" : typeof value === "object" ? "{}" : String(value);
}
