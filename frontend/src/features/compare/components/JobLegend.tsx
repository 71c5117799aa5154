import { Link } from "@tanstack/react-router";
import { nameOf } from "@/components/jobs/activity";
import type { Comparison } from "@/types/api";
import { colourOf } from "../series";
import classes from "./JobLegend.module.css";

interface JobLegendProps {
  job: Comparison["jobs"][number];
  index: number;
  /** At the head of a column: the name alone, in lines if it is long. */
  compact?: boolean;
}

/** A job's line and name; it leads to its page. */
export function JobLegend({ job, index, compact }: JobLegendProps) {
  return (
    <Link to="/jobs/$id" params={{ id: job.id }} className={classes.job} data-compact={compact} title={compact ? job.id : undefined}>
      <span className={classes.line} style={{ background: `var(${colourOf(index)})` }} aria-hidden="true" />
      <span className={classes.name}>{nameOf(job)}</span>
      {!compact && <span className="mono dim">{job.id}</span>}
    </Link>
  );
}
