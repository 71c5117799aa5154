import { Button } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { Notice } from "@/components/ui/Notice";
import { messageOf } from "@/lib/api/errors";
import { ACTIONS, type Action } from "@/lib/jobs/states";
import type { Job } from "@/types/api";
import { type Command, useJobCommand } from "../api/actions";
import classes from "./Actions.module.css";

const FAILURES: Record<string, string> = {
  OOM: "Out of memory",
  VALIDATION: "The input was not valid",
  TIMEOUT: "The time limit was reached",
  NETWORK: "The network failed",
  DISK_FULL: "The disk is full",
  DIVERGED: "The training diverged",
  WORKER_LOST: "The worker was lost",
  CANCELLED: "Cancelled",
  UNKNOWN: "The job failed",
};

const failureTitle = (name: string): string => FAILURES[name] ?? name;

const WORDS: Record<Action, string> = { pause: "Pause", resume: "Resume", cancel: "Cancel", retry: "Run again" };

/** What may be done to the job in its state; a retry leads to the new job's page. */
export function useActions(job: Job) {
  const navigate = useNavigate();
  const command = useJobCommand(job.id);
  const run = (request: Command) =>
    command.mutate(request, {
      onSuccess: (next) => request.action === "retry" && next?.id && void navigate({ to: "/jobs/$id", params: { id: next.id } }),
    });
  return { run, busy: command.isPending ? command.variables.action : null, error: command.error };
}

type ActionsProps = { job: Job; actions: ReturnType<typeof useActions> };

export function ActionButtons({ job, actions }: ActionsProps) {
  return ACTIONS[job.state].map((action) => (
    <Button
      key={action}
      variant="default"
      loading={actions.busy === action}
      disabled={actions.busy !== null}
      onClick={() => actions.run({ action })}
    >
      {WORDS[action]}
    </Button>
  ));
}

/** Whether the advice can be taken by one click: it changes something of the config. */
function isAdvised({ state, error }: Job): boolean {
  return state === "failed" && Object.keys(error?.advice?.config_patch ?? {}).length > 0;
}

/** Why an action was refused, or why the job failed and what to do about it. */
export function Troubles({ job, actions }: ActionsProps) {
  if (!actions.error && !job.error) return null;
  return (
    <div className={classes.troubles}>
      {actions.error && <Notice title="That was not done">{messageOf(actions.error)}</Notice>}
      {job.error && (
        <Notice
          title={failureTitle(job.error.class)}
          action={
            isAdvised(job) ? (
              <Button variant="default" loading={actions.busy === "retry"} onClick={() => actions.run({ action: "retry", advised: true })}>
                Run again as advised
              </Button>
            ) : null
          }
        >
          <p className={classes.message}>{job.error.message}</p>
          {job.error.advice && <p className={classes.advice}>{job.error.advice.text}</p>}
        </Notice>
      )}
    </div>
  );
}
