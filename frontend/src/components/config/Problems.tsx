import { Notice } from "@/components/ui/Notice";
import { ApiError, messageOf } from "@/lib/api/errors";
import type { FieldError } from "@/types/api";
import classes from "./Problems.module.css";

/** The fields that the server refused; none for another kind of error. */
export const problemsOf = (error: unknown): FieldError[] => (error instanceof ApiError ? error.fields : []);

/** Why nothing was sent or taken, field by field: a long form hides its fields, and some errors have none. */
export function Problems({ own, error }: { own: FieldError[]; error: unknown }) {
  const fields = own.length > 0 ? own : problemsOf(error);
  if (fields.length === 0 && !error) return null;
  return (
    <Notice title="The job was not started">
      {fields.length === 0 ? (
        messageOf(error)
      ) : (
        <ul className={classes.list}>
          {fields.map(({ field, message }) => (
            <li key={field + message}>
              <span className={`mono ${classes.field}`}>{field.replace(/^config\./, "")}</span> {message}
            </li>
          ))}
        </ul>
      )}
    </Notice>
  );
}
