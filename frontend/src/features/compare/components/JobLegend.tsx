import { Link } from "@tanstack/react-router";
import { nameOf } from "@/components/jobs/activity";
import type { Comparison } from "@/types/api";
import { colourOf } from "../series";
import classes from "./JobLegend.module.css";

/** A job's line and name; it leads to its page. */
export function JobLegend({ job, index }: { job: Comparison["jobs"][number]; index: number }) {
  return (
    <Link to="/jobs/$id" params={{ id: job.id }} className={classes.job}>
      <span className={classes.line} style={{ background: `var(${colourOf(index)})` }} aria-hidden="true" />
      <span className={classes.name}>{nameOf(job)}</span>
      <span className="mono dim">{job.id}</span>
    </Link>
  );
}
