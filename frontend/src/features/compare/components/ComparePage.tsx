import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { MOST_COMPARED } from "@/config/live";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import type { Comparison } from "@/types/api";
import { useComparison } from "../api/queries";
import type { Align } from "../axis";
import { CompareCharts } from "./CompareCharts";
import classes from "./ComparePage.module.css";
import { JobLegend } from "./JobLegend";
import { SideBySide } from "./SideBySide";

interface ComparePageProps {
  ids: string[];
  align: Align;
  onAlign: (align: Align) => void;
}

/** Jobs side by side: which was faster and where, their curves on one axis, and both in figures. */
export function ComparePage({ ids, align, onAlign }: ComparePageProps) {
  const isEnough = ids.length >= 2 && ids.length <= MOST_COMPARED;
  const choose = (
    <Button variant="default" renderRoot={(props) => <Link {...props} to="/trainings" search={{ pick: ids.join(",") || undefined }} />}>
      Choose jobs
    </Button>
  );
  return (
    <Page title="Compare" actions={choose}>
      {isEnough ? (
        <Compared ids={ids} align={align} onAlign={onAlign} />
      ) : (
        <Empty title={`Choose 2 to ${MOST_COMPARED} jobs`} action={choose}>
          Tick them in the list of trainings; the jobs stand in this page's address.
        </Empty>
      )}
    </Page>
  );
}

function Compared({ ids, align, onAlign }: ComparePageProps) {
  const { data, error, refetch } = useComparison(ids, align);
  if (error && !data) return <FailedRead error={error} retry={() => void refetch()} />;
  if (!data) return null;
  return (
    <>
      <Verdict comparison={data} />
      <CompareCharts comparison={data} onAlign={onAlign} />
      <Section title="Side by side">
        <SideBySide comparison={data} />
      </Section>
    </>
  );
}

function Verdict({ comparison }: { comparison: Comparison }) {
  return (
    <div className={classes.head}>
      <p className={classes.verdict} data-testid="verdict">
        {comparison.verdict.text}
      </p>
      <ul className={classes.legend} aria-label="Jobs">
        {comparison.jobs.map((job, index) => (
          <li key={job.id}>
            <JobLegend job={job} index={index} />
          </li>
        ))}
      </ul>
    </div>
  );
}
