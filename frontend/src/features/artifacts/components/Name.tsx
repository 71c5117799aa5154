import { Link } from "@tanstack/react-router";
import { ownPage } from "@/components/jobs/ownPage";
import type { Artifact } from "@/types/api";
import classes from "./Artifacts.module.css";

/** An artifact's name; it leads to its own page where there is one, else to the job that made it. */
export function Name({ artifact }: { artifact: Artifact }) {
  const { id, job_id: job } = artifact;
  const name = artifact.name || id;
  const toOwn = ownPage(artifact);
  if (toOwn) return <Link to={toOwn} params={{ id }} className={classes.name}>{name}</Link>;
  if (!job) return <span className={classes.name}>{name}</span>;
  return (
    <Link to="/jobs/$id" params={{ id: job }} title="The job that made it" className={classes.name}>
      {name}
    </Link>
  );
}
