import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { PhaseBar } from "@/components/ui/PhaseBar";
import { StateMark } from "@/components/ui/StateBadge";
import { percent, rate } from "@/lib/format/numbers";
import type { Job } from "@/types/api";
import { Eta } from "./Eta";
import { LivenessFlag, isTroubled } from "./LivenessFlag";
import { activity, nameOf } from "./activity";
import classes from "./JobRow.module.css";

interface JobRowProps {
  job: Job;
  /** Instead of the job's name. */
  name?: ReactNode;
  /** Names of other jobs by id, to say what this one waits for. */
  names?: ReadonlyMap<string, string>;
}

/** A job at a glance: what runs, how far, how fast, until when. The whole row leads to its page. */
export function JobRow({ job, name, names }: JobRowProps) {
  const text = activity(job, names);
  return (
    <Link to="/jobs/$id" params={{ id: job.id }} className={classes.row} data-state={job.state}>
      <StateMark state={job.state} />
      <span className={classes.what}>
        <span className={classes.name}>{name ?? nameOf(job)}</span>
        <span className={classes.kind}>{job.name || name ? job.kind : job.id}</span>
      </span>
      <span className={classes.progress}>
        <PhaseBar job={job} />
        <span className={`figures ${classes.activity}`} title={text}>
          {isTroubled(job) && <LivenessFlag job={job} />}
          {text}
        </span>
      </span>
      <span className={`figures ${classes.percent}`}>{percent(job.percent)}</span>
      <span className={`figures ${classes.rate}`}>{job.state === "running" ? rate(job.rate, job.rate_unit ?? "") : ""}</span>
      <Eta job={job} className={`figures ${classes.eta}`} />
    </Link>
  );
}
