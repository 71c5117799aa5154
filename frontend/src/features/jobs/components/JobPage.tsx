import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { JobHardware } from "@/components/hardware/JobHardware";
import { nameOf } from "@/components/jobs/activity";
import { Definitions, jsonRows } from "@/components/ui/Definitions";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { StateBadge } from "@/components/ui/StateBadge";
import { isActive } from "@/lib/jobs/states";
import type { Job } from "@/types/api";
import { useJob } from "../api/queries";
import { useActions } from "../hooks/useActions";
import { useJobLive } from "../hooks/useJobLive";
import { ActionButtons, Troubles } from "./Actions";
import { Charts } from "./Charts";
import { Checkpoints } from "./Checkpoints";
import { FeaturesAtCheckpoints } from "./FeaturesAtCheckpoints";
import { Hero } from "./Hero";
import { HistoryCharts } from "./HistoryCharts";
import classes from "./JobPage.module.css";
import { Logs } from "./Logs";
import { Phases } from "./Phases";
import { OpenResults, Results } from "./Results";
import { factRows } from "./facts";

/** One job, live. */
export function JobPage({ id }: { id: string }) {
  useJobLive(id);
  const { data: job, error, refetch } = useJob(id);
  if (job) return <JobView job={job} />;
  return <Page title={error ? "Job" : " "}>{error && <FailedRead error={error} retry={() => void refetch()} />}</Page>;
}

function JobView({ job }: { job: Job }) {
  const actions = useActions(job);
  return (
    <Page
      title={nameOf(job)}
      tab={isActive(job.state) ? `${Math.floor(job.percent)} % ${nameOf(job)}` : nameOf(job)}
      meta={
        <>
          <StateBadge state={job.state} />
          {job.name && <span>{job.kind}</span>}
          <span className="mono dim">{job.id}</span>
          {job.study_id && (
            <Link to="/studies/$id" params={{ id: job.study_id }} className={classes.link}>
              Study
            </Link>
          )}
        </>
      }
      actions={
        <>
          <Button variant="default" renderRoot={(props) => <Link {...props} to="/trainings" search={{ kind: job.kind, pick: job.id }} />}>
            Compare with…
          </Button>
          <ActionButtons job={job} actions={actions} />
          <OpenResults job={job} />
        </>
      }
    >
      <Troubles job={job} actions={actions} />
      <Hero job={job} />
      <Charts job={job} />
      <Results job={job} />
      <FeaturesAtCheckpoints job={job} />
      <HistoryCharts job={job} />
      <JobHardware job={job} />
      <div className={classes.columns}>
        <Logs job={job} />
        <div>
          <Phases job={job} />
          <Checkpoints job={job} />
        </div>
      </div>
      <div className={classes.columns}>
        <Section title="Config">
          <Definitions rows={jsonRows(job.config)} />
        </Section>
        <Section title="Environment">
          <Definitions rows={[...factRows(job), ...jsonRows(job.environment)]} />
        </Section>
      </div>
    </Page>
  );
}
