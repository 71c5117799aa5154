import { Ago } from "@/components/ui/Ago";
import { rate } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";
import { useNow } from "@/lib/format/useNow";
import { isActive } from "@/lib/jobs/states";
import type { Job } from "@/types/api";
import classes from "./HeroFacts.module.css";

/** Rate, time, attempt and life, each under its name; every place stands whether its value is known or not. */
export function HeroFacts({ job }: { job: Job }) {
  const now = useNow();
  const end = job.finished_at ? Date.parse(job.finished_at) : now;
  const elapsed = job.started_at ? (end - Date.parse(job.started_at)) / 1000 : null;
  return (
    <dl className={classes.facts}>
      <Fact name="Rate">{job.state === "running" ? rate(job.rate, job.rate_unit ?? "") : "–"}</Fact>
      <Fact name={job.finished_at ? "Took" : "Elapsed"}>{duration(elapsed)}</Fact>
      <Fact name="Attempt">{job.attempt || "–"}</Fact>
      <Fact name="Liveness">{isActive(job.state) ? <Liveness job={job} /> : "–"}</Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className={classes.fact}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Liveness({ job }: { job: Job }) {
  return (
    <span className={classes.liveness} data-liveness={job.liveness ?? undefined}>
      {job.liveness ?? "unknown"}
      <span className={classes.age}>
        <Ago at={job.updated_at} />
      </span>
    </span>
  );
}
