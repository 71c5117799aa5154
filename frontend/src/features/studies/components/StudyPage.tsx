import { JobRow } from "@/components/jobs/JobRow";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { ProgressBar } from "@/components/ui/ProgressBar";
import { StateBadge } from "@/components/ui/StateBadge";
import { percent } from "@/lib/format/numbers";
import { clock, duration } from "@/lib/format/times";
import { useNow } from "@/lib/format/useNow";
import { useJobFeed } from "@/lib/jobs/useJobFeed";
import type { Study } from "@/types/api";
import { useStudy } from "../api/queries";
import classes from "./StudyPage.module.css";

/** One study: how far it is in all, and its jobs in the order they run. */
export function StudyPage({ id }: { id: string }) {
  useJobFeed();
  const { data: study, error, refetch, dataUpdatedAt } = useStudy(id);
  if (!study) return <Page title={error ? "Study" : " "}>{error && <FailedRead error={error} retry={() => void refetch()} />}</Page>;
  const names = new Map(study.jobs.map((job) => [job.id, job.key]));
  return (
    <Page
      title={study.name}
      meta={
        <>
          <StateBadge state={study.state} />
          <span className="mono dim">{study.id}</span>
        </>
      }
    >
      <div className={classes.total}>
        <span className={`figures ${classes.percent}`} data-testid="percent">
          {percent(study.percent)}
        </span>
        <span className={`figures ${classes.eta}`}>
          <EndText study={study} readAt={dataUpdatedAt} />
        </span>
      </div>
      <ProgressBar state={study.state} percent={study.percent} size="tall" />
      <Section title={`${study.jobs.length} ${study.jobs.length === 1 ? "job" : "jobs"}`}>
        <ol className={classes.pipeline}>
          {study.jobs.map((job) => (
            <li key={job.id} className={classes.step}>
              <JobRow job={job} name={job.key} names={names} />
            </li>
          ))}
        </ol>
      </Section>
    </Page>
  );
}

function EndText({ study, readAt }: { study: Study; readAt: number }) {
  const now = useNow();
  if (study.finished_at) {
    const took = (Date.parse(study.finished_at) - Date.parse(study.created_at)) / 1000;
    return `${study.state} ${clock(Date.parse(study.finished_at), now)}, took ${duration(took)}`;
  }
  if (study.eta_seconds === null) return study.state === "running" ? "estimating" : " ";
  const left = study.eta_seconds - Math.max(0, now - readAt) / 1000;
  return `until ${clock(readAt + study.eta_seconds * 1000, now, left < 600)}, in ${duration(left)}`;
}
