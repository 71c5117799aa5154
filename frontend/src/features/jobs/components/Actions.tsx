import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { ConfigDiff } from "@/components/config/ConfigDiff";
import { Notice } from "@/components/ui/Notice";
import { messageOf } from "@/lib/api/errors";
import { ACTIONS, type Action } from "@/lib/jobs/states";
import { changesOf } from "@/lib/schema/patch";
import type { Job } from "@/types/api";
import type { useActions } from "../hooks/useActions";
import { adviceOf } from "./advice";
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

type ActionsProps = { job: Job; actions: ReturnType<typeof useActions> };

export function ActionButtons({ job, actions }: ActionsProps) {
  return ACTIONS[job.state].map((action) =>
    action === "retry" ? (
      <Button key={action} variant="default" renderRoot={(props) => <Link {...props} to="/jobs/$id/again" params={{ id: job.id }} />}>
        {WORDS[action]}
      </Button>
    ) : (
      <Button
        key={action}
        variant="default"
        loading={actions.busy === action}
        disabled={actions.busy !== null}
        onClick={() => actions.run({ action })}
      >
        {WORDS[action]}
      </Button>
    ),
  );
}

/** Why an action was refused, or why the job failed and what to do about it. */
export function Troubles({ job, actions }: ActionsProps) {
  if (!actions.error && !job.error) return null;
  return (
    <div className={classes.troubles}>
      {actions.error && <Notice title="That was not done">{messageOf(actions.error)}</Notice>}
      {job.error && (
        <Notice title={failureTitle(job.error.class)} action={adviceOf(job) && <Advised job={job} actions={actions} />}>
          <p className={classes.message}>{job.error.message}</p>
          {job.error.advice && <p className={classes.advice}>{job.error.advice.text}</p>}
        </Notice>
      )}
    </div>
  );
}

/** What the advice changes, and the ways to take it: at once, or after a look at the whole config. */
function Advised({ job, actions }: ActionsProps) {
  return (
    <>
      <ConfigDiff changes={changesOf(job.config, { ...job.config, ...adviceOf(job) })} />
      <div className={classes.ways}>
        <Button variant="default" loading={actions.busy === "retry"} onClick={() => actions.run({ action: "retry", advised: true })}>
          Run again as advised
        </Button>
        <Button variant="subtle" renderRoot={(props) => <Link {...props} to="/jobs/$id/again" params={{ id: job.id }} search={{ advised: true }} />}>
          Change more first
        </Button>
      </div>
    </>
  );
}
