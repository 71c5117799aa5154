import type { HistoryPoint, Job } from "@/types/api";

export interface Course {
  /** When the job started first, in ms. */
  start: number;
  /** Seconds since then. */
  x: number[];
  percent: (number | null)[];
  rate: (number | null)[];
}

/** The break in the lines lies so long before the new attempt's first moment. */
const GAP_SECONDS = 0.001;

/** What is kept of a job's way, and where it is now; between two attempts the lines are broken. */
export function courseOf(points: HistoryPoint[], job: Pick<Job, "attempt" | "percent" | "rate" | "started_at" | "updated_at">): Course {
  const start = Math.min(...[job.started_at ?? job.updated_at, points[0]?.at].flatMap((at) => (at ? Date.parse(at) : [])));
  const now = { at: job.updated_at, attempt: job.attempt, percent: job.percent, rate: job.rate };
  const isNews = Date.parse(now.at) > Date.parse(points.at(-1)?.at ?? new Date(start).toISOString());
  const course: Course = { start, x: [], percent: [], rate: [] };
  let attempt = points[0]?.attempt;
  for (const point of isNews ? [...points, now] : points) {
    const x = (Date.parse(point.at) - start) / 1000;
    if (point.attempt !== attempt) add(course, x - GAP_SECONDS, null, null);
    add(course, x, point.percent, point.rate);
    attempt = point.attempt;
  }
  return course;
}

function add(course: Course, x: number, percent: number | null, rate: number | null): void {
  course.x.push(x);
  course.percent.push(percent);
  course.rate.push(rate);
}
