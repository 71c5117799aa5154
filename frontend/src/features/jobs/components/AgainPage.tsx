import { Link } from "@tanstack/react-router";
import { nameOf } from "@/components/jobs/activity";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { isFinal } from "@/lib/jobs/states";
import { useKinds } from "@/lib/jobs/useKinds";
import { useJob } from "../api/queries";
import { AgainForm } from "./AgainForm";
import jobClasses from "./JobPage.module.css";

/** Run a job again, with another config if wanted; `advised` begins with the advice taken. */
export function AgainPage({ id, advised }: { id: string; advised: boolean }) {
  const job = useJob(id);
  const kinds = useKinds();
  const kind = kinds.data?.items.find((item) => item.name === job.data?.kind);
  const failed = [job, kinds].find((query) => query.error && !query.data);
  if (failed) return <Page title="Run again">{<FailedRead error={failed.error} retry={() => void failed.refetch()} />}</Page>;
  if (!job.data || !kinds.data) return <Page title={" "}>{null}</Page>;
  const back = (
    <Link to="/jobs/$id" params={{ id }} className={jobClasses.link}>
      {nameOf(job.data)}
    </Link>
  );
  return (
    <Page title="Run again" meta={back}>
      {!kind?.available ? (
        <Empty title="Not available here">{kind?.unavailable_reason ?? `There is no kind ${job.data.kind} here any more.`}</Empty>
      ) : !isFinal(job.data.state) ? (
        <Empty title="This job is not over">It can be run again when it has ended; cancel it first if that is wanted.</Empty>
      ) : (
        <AgainForm job={job.data} kind={kind} advised={advised} />
      )}
    </Page>
  );
}
