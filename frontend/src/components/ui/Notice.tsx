import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import { messageOf } from "@/lib/api/errors";
import classes from "./Notice.module.css";

/** Something went wrong, said where it happened. */
export function Notice({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={classes.notice} role="alert">
      <p className={classes.title}>{title}</p>
      {children && <div className={classes.text}>{children}</div>}
      {action && <div className={classes.action}>{action}</div>}
    </div>
  );
}

/** A read that failed, with the way to try again. */
export function FailedRead({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <Notice
      title="This could not be read"
      action={
        <Button variant="default" onClick={retry}>
          Try again
        </Button>
      }
    >
      {messageOf(error)}
    </Notice>
  );
}
