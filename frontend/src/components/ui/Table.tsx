import type { ReactNode } from "react";
import classes from "./Table.module.css";

export interface Column<T> {
  title: ReactNode;
  /** Tells columns apart where a title is not a text of its own. */
  key?: string;
  cell: (item: T) => ReactNode;
  align?: "right";
  /** Left out on a phone. */
  secondary?: boolean;
}

interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  items: T[];
  keyOf: (item: T) => string;
}

/** A plain table with hairlines. */
export function Table<T>({ label, columns, items, keyOf }: TableProps<T>) {
  return (
    <div className={classes.frame}>
      <table className={classes.table} aria-label={label}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.key ?? String(column.title)} data-align={column.align} data-secondary={column.secondary} scope="col">
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={keyOf(item)}>
              {columns.map((column) => (
                <td key={column.key ?? String(column.title)} data-align={column.align} data-secondary={column.secondary}>
                  {column.cell(item)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
