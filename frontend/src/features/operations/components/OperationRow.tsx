import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Ago } from "@/components/ui/Ago";
import { nameOf } from "@/components/jobs/activity";
import { JobRow } from "@/components/jobs/JobRow";
import { messageOf } from "@/lib/api/errors";
import { ACTIONS, type Action } from "@/lib/jobs/states";
import { useJobCommand } from "@/lib/jobs/useJobCommand";
import type { Job } from "@/types/api";
import { usesOf } from "../uses";
import classes from "./OperationRow.module.css";

const WORDS: Record<Action, string> = { pause: "Pause", resume: "Resume", cancel: "Cancel", retry: "Run again" };

/** A job with what it uses and what may be done to it, without leaving the page. */
export function OperationRow({ job, names }: { job: Job; names: ReadonlyMap<string, string> }) {
  const command = useJobCommand(job.id);
  return (
    <div className={classes.item} data-testid="operation" data-job={job.id}>
      <JobRow job={job} names={names} />
      <span className={`figures ${classes.uses}`}>{job.state === "queued" ? <>queued <Ago at={job.queued_at} /></> : usesOf(job)}</span>
      <span className={classes.actions}>
        {ACTIONS[job.state].map((action) => (
          <RowAction key={action} job={job} action={action} command={command} />
        ))}
      </span>
      {command.error && (
        <p className={classes.refused} role="alert">
          {messageOf(command.error)}
        </p>
      )}
    </div>
  );
}

interface RowActionProps {
  job: Job;
  action: Action;
  command: ReturnType<typeof useJobCommand>;
}

function RowAction({ job, action, command }: RowActionProps) {
  const label = `${WORDS[action]} ${nameOf(job)}`;
  const look = { variant: "default", size: "compact-xs", "aria-label": label } as const;
  if (action === "retry")
    return (
      <Button {...look} renderRoot={(props) => <Link {...props} to="/jobs/$id/again" params={{ id: job.id }} />}>
        {WORDS[action]}
      </Button>
    );
  const isBusy = command.isPending && command.variables.action === action;
  return (
    <Button {...look} loading={isBusy} disabled={command.isPending} onClick={() => command.mutate({ action })}>
      {WORDS[action]}
    </Button>
  );
}
