import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { nameOf } from "@/components/jobs/activity";
import { JobRow } from "@/components/jobs/JobRow";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { useJobFeed } from "@/lib/jobs/useJobFeed";
import { useKinds } from "@/lib/jobs/useKinds";
import { type JobFilter, useJobs } from "../api/queries";
import { Filters } from "./Filters";
import classes from "./JobsPage.module.css";

interface JobsPageProps {
  filter: JobFilter;
  onFilter: (filter: JobFilter) => void;
}

/** All jobs, newest first, live. The filter stands in the address. */
export function JobsPage({ filter, onFilter }: JobsPageProps) {
  useJobFeed();
  const kinds = useKinds().data?.items.map((kind) => kind.name) ?? [];
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useJobs(filter);
  const jobs = data?.pages.flatMap((page) => page.items) ?? [];
  const names = new Map(jobs.map((job) => [job.id, nameOf(job)]));
  const newJob = (
    <Button component={Link} to="/submit">
      New job
    </Button>
  );

  return (
    <Page title="Trainings" actions={newJob}>
      <Filters filter={filter} kinds={kinds} onFilter={onFilter} />
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data && jobs.length === 0 && <NoJobs isFiltered={Object.values(filter).some(Boolean)} onClear={() => onFilter({})} />}
      <div className={classes.list}>
        {jobs.map((job) => (
          <JobRow key={job.id} job={job} names={names} />
        ))}
      </div>
      {hasNextPage && (
        <Button variant="default" className={classes.more} loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Show more
        </Button>
      )}
    </Page>
  );
}

function NoJobs({ isFiltered, onClear }: { isFiltered: boolean; onClear: () => void }) {
  if (isFiltered)
    return (
      <Empty
        title="No job matches"
        action={
          <Button variant="default" onClick={onClear}>
            Show all jobs
          </Button>
        }
      >
        Nothing here has this state, kind and text together.
      </Empty>
    );
  return (
    <Empty title="Nothing has run yet" action={<Button component={Link} to="/submit">New job</Button>}>
      Start a job here, or with <code className="mono">headway run</code> in a terminal. Its progress appears at once.
    </Empty>
  );
}
