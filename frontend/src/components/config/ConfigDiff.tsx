import type { Change } from "@/lib/schema/patch";
import type { Json } from "@/types/api";
import classes from "./ConfigDiff.module.css";

/** What changes of a config: old and new, field by field. */
export function ConfigDiff({ changes }: { changes: Change[] }) {
  return (
    <ul className={classes.list} aria-label="Changes">
      {changes.map(({ name, from, to }) => (
        <li key={name} className={`mono ${classes.change}`}>
          <span className={classes.name}>{name}</span>
          <span>
            <del className={classes.from}>{textOf(from)}</del>
            <span aria-label="becomes"> → </span>
            <ins className={classes.to}>{textOf(to)}</ins>
          </span>
        </li>
      ))}
    </ul>
  );
}

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}
