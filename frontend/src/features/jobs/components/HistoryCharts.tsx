import { useMemo, useState } from "react";
import { HistoryChart } from "./HistoryChart";
import type { Range } from "@/components/charts/options";
import { Section } from "@/components/ui/Page";
import { percent, rate } from "@/lib/format/numbers";
import { isFinal } from "@/lib/jobs/states";
import type { Job } from "@/types/api";
import { useHistory } from "../api/queries";
import { rulesOfHistory } from "./attempts";
import classes from "./Charts.module.css";
import { courseOf } from "./course";

const WHOLE: Range = [0, 100];

/** How the job got here: its percent and its rate over time, with a mark where a new attempt took over. */
export function HistoryCharts({ job }: { job: Job }) {
  const { data } = useHistory(job.id, isFinal(job.state));
  const [zoom, setZoom] = useState<Range | null>(null);
  const points = useMemo(() => data?.items ?? [], [data]);
  const latest = useEachSecond(job);
  const course = useMemo(() => courseOf(points, latest), [points, latest]);
  const rules = useMemo(() => rulesOfHistory(points, course.start), [points, course.start]);
  if (!job.started_at) return null;
  const range: Range = zoom ?? [0, Math.max(1, course.x.at(-1) ?? 1)];
  const shared = { x: course.x, range, rules, onZoom: setZoom };
  return (
    <Section title="Course">
      <div className={classes.grid} data-count={2}>
        <HistoryChart name="percent" values={course.percent} bounds={WHOLE} textOf={percent} {...shared} />
        <HistoryChart name="rate" values={course.rate} textOf={(value) => rate(value, job.rate_unit ?? "")} {...shared} />
      </div>
    </Section>
  );
}

/** The job as it was told first in each second or state: a course of minutes looks the same between. */
function useEachSecond(job: Job): Job {
  const [held, setHeld] = useState(job);
  if (momentOf(held) === momentOf(job)) return held;
  setHeld(job);
  return job;
}

function momentOf({ id, state, updated_at }: Job): string {
  return [id, state, Math.floor(Date.parse(updated_at) / 1000)].join();
}
