import { Ago } from "@/components/ui/Ago";
import { rate } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";
import { useNow } from "@/lib/format/useNow";
import { isActive } from "@/lib/jobs/states";
import { type Mode, connection } from "@/lib/live/connection";
import { useMode } from "@/lib/live/useMode";
import type { Job } from "@/types/api";
import classes from "./HeroFacts.module.css";
import { knownLiveness } from "./liveness";

/** Rate, time, attempt and life, each under its name; every place stands whether its value is known or not. */
export function HeroFacts({ job }: { job: Job }) {
  const now = useNow();
  const mode = useMode();
  const end = job.finished_at ? Date.parse(job.finished_at) : now;
  const elapsed = job.started_at ? (end - Date.parse(job.started_at)) / 1000 : null;
  return (
    <dl className={classes.facts}>
      <Fact name="Rate">{job.state === "running" ? rate(job.rate, job.rate_unit ?? "") : "–"}</Fact>
      <Fact name={job.finished_at ? "Took" : "Elapsed"}>{duration(elapsed)}</Fact>
      <Fact name="Attempt">{job.attempt || "–"}</Fact>
      <Fact name="Liveness" note={mode === "offline" ? <Stale now={now} /> : null}>
        {isActive(job.state) ? <Liveness job={job} mode={mode} /> : "–"}
      </Fact>
    </dl>
  );
}

function Fact({ name, note, children }: { name: string; note?: React.ReactNode; children: React.ReactNode }) {
  return (
    <div className={classes.fact}>
      <dt>
        {name}
        {note}
      </dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The page has heard nothing for a while: what it shows is so old, however the job does. */
function Stale({ now }: { now: number }) {
  return <span className={classes.stale}>{`your page is stale, ${duration((now - connection.read().heardAt) / 1000)}`}</span>;
}

function Liveness({ job, mode }: { job: Job; mode: Mode }) {
  const known = knownLiveness(job.liveness, mode);
  const title = mode === "offline" ? `The server does not answer; when it last did, the job was ${job.liveness ?? "of unknown life"}` : undefined;
  return (
    <span className={classes.liveness} data-liveness={known} title={title}>
      {known}
      <span className={classes.age}>
        <Ago at={job.updated_at} />
      </span>
    </span>
  );
}
