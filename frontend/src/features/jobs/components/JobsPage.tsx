import { Button, Checkbox } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { MOST_COMPARED } from "@/config/live";
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
  /** Jobs chosen for a comparison; they stand in the address too. */
  picked: string[];
  onPick: (ids: string[]) => void;
}

/** All jobs, newest first, live. The filter stands in the address. */
export function JobsPage({ filter, onFilter, picked, onPick }: JobsPageProps) {
  useJobFeed();
  const kinds = useKinds().data?.items.map((kind) => kind.name) ?? [];
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useJobs(filter);
  const jobs = data?.pages.flatMap((page) => page.items) ?? [];
  const names = new Map(jobs.map((job) => [job.id, nameOf(job)]));
  const actions = (
    <>
      <CompareButton picked={picked} onClear={() => onPick([])} />
      <Button component={Link} to="/submit">
        New job
      </Button>
    </>
  );

  return (
    <Page title="Trainings" actions={actions}>
      <Filters filter={filter} kinds={kinds} onFilter={onFilter} />
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data && jobs.length === 0 && <NoJobs isFiltered={Object.values(filter).some(Boolean)} onClear={() => onFilter({})} />}
      <div className={classes.list}>
        {jobs.map((job) => (
          <div key={job.id} className={classes.item}>
            <Checkbox
              className={classes.check}
              size="xs"
              aria-label={`Compare ${nameOf(job)}`}
              checked={picked.includes(job.id)}
              disabled={picked.length >= MOST_COMPARED && !picked.includes(job.id)}
              onChange={() => onPick(toggled(picked, job.id))}
            />
            <JobRow job={job} names={names} />
          </div>
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

const toggled = (ids: string[], id: string): string[] => (ids.includes(id) ? ids.filter((item) => item !== id) : [...ids, id]);

/** Leads to the comparison of what is ticked; its place stands from the start, so that a tick moves nothing. */
function CompareButton({ picked, onClear }: { picked: string[]; onClear: () => void }) {
  const isEnough = picked.length >= 2;
  const label = picked.length > 0 ? `Compare ${picked.length}` : "Compare";
  return (
    <>
      {picked.length > 0 && (
        <Button variant="subtle" color="gray" onClick={onClear}>
          Clear
        </Button>
      )}
      {isEnough ? (
        <Button variant="default" renderRoot={(props) => <Link {...props} to="/compare" search={{ ids: picked.join(",") }} />}>
          {label}
        </Button>
      ) : (
        <Button variant="default" disabled title="Tick at least two jobs">
          {label}
        </Button>
      )}
    </>
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
