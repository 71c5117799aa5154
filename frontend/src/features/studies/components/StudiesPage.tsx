import { Link } from "@tanstack/react-router";
import { Ago } from "@/components/ui/Ago";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { ProgressBar } from "@/components/ui/ProgressBar";
import { StateMark } from "@/components/ui/StateBadge";
import { percent } from "@/lib/format/numbers";
import { useJobFeed } from "@/lib/jobs/useJobFeed";
import type { Study } from "@/types/api";
import { useStudies } from "../api/queries";
import classes from "./StudiesPage.module.css";

/** All studies: jobs tied by what they need of each other. */
export function StudiesPage() {
  useJobFeed();
  const { data, error, refetch } = useStudies();
  return (
    <Page title="Studies">
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data?.items.length === 0 && (
        <Empty title="No studies yet">
          A study ties jobs together: download, tokenize, extract, train. <code className="mono">make demo</code> runs one from end to end.
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <div className={classes.list}>
          {data.items.map((study) => (
            <StudyRow key={study.id} study={study} />
          ))}
        </div>
      )}
    </Page>
  );
}

function StudyRow({ study }: { study: Study }) {
  return (
    <Link to="/studies/$id" params={{ id: study.id }} className={classes.row}>
      <StateMark state={study.state} />
      <span className={classes.name}>{study.name}</span>
      <span className={classes.bar}>
        <ProgressBar state={study.state} percent={study.percent} />
      </span>
      <span className={`figures ${classes.percent}`}>{percent(study.percent)}</span>
      <span className={classes.when}>
        <Ago at={study.finished_at ?? study.created_at} />
      </span>
    </Link>
  );
}
