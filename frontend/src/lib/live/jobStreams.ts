/** Streams of one job: its log lines, its events, its metric points. Each ends with the job, and is then whole.
 * Twin of backend/headway/sdk/job_streams.py. */

import type { Job, JobPush, LogLine, LogsPush, Metrics, MetricsPush } from "@/types/api";
import { type Get, type Reset, SERVER_BEHIND, type Stream, isFinal, jobPath } from "./streams";

const PAGE = 500;
const MOST_POINTS = 100_000;

type Points = MetricsPush["points"];
type Cursor = Record<string, number>;

/** New points of an attempt; a value that is not finite is null. */
export interface NewPoints {
  attempt: number;
  series: Points;
}

/** The progress channel says when the job is over, and the rest is then read. */
abstract class OfJob<T> implements Stream<T | Reset> {
  readonly channels: readonly string[];
  over = false;
  behind = false;
  protected readonly path: string;
  private readonly progress: string;
  private jobRevision: number | undefined;
  protected ended = false;

  constructor(id: string, ...own: string[]) {
    this.path = jobPath(id);
    this.progress = `jobs/${id}/progress`;
    this.channels = [...own, this.progress];
  }

  revision(channel: string) {
    return channel === this.progress ? this.jobRevision : this.ownRevision();
  }

  snapshot(channel: string, data: unknown, reset: boolean): (T | Reset)[] {
    const told = reset ? this.goBack(SERVER_BEHIND) : [];
    if (channel !== this.progress) return [...told, ...this.hold(data)];
    if (reset) {
      this.jobRevision = undefined;
      this.ended = false;
    }
    this.lookAt(data as Job);
    return told;
  }

  push(channel: string, payload: unknown): (T | Reset)[] {
    if (channel !== this.progress) return this.take(payload);
    this.lookAt((payload as JobPush).job);
    return [];
  }

  async *read(get: Get, polled: boolean): AsyncGenerator<T | Reset> {
    // Known before the last part is read, so that nothing can come after it.
    if (polled) this.lookAt((await get(this.path)) as Job);
    yield* this.catchUp(get);
    this.behind = false;
    this.over = this.ended;
  }

  protected lookAt(job: Job): void {
    this.jobRevision = Math.max(this.jobRevision ?? 0, job.revision);
    this.ended ||= isFinal(job);
    this.behind ||= this.ended;
  }

  protected ownRevision(): number | undefined {
    return undefined;
  }

  protected hold(_: unknown): (T | Reset)[] {
    return [];
  }

  protected take(_: unknown): (T | Reset)[] {
    return [];
  }

  protected abstract goBack(why: Reset): Reset[];
  protected abstract catchUp(get: Get): AsyncGenerator<T | Reset>;
}

/** Things numbered on their job from 1 without gaps. */
abstract class Numbered<T extends { no: number }> extends OfJob<T> {
  protected after: number;
  protected readonly items: string;

  constructor(id: string, what: string, own: string[], after: number) {
    super(id, ...own);
    this.items = `${this.path}/${what}`;
    this.after = after;
  }

  protected async *catchUp(get: Get): AsyncGenerator<T | Reset> {
    for (let full = true; full; ) {
      const { items } = (await get(this.items, { after: this.after, limit: PAGE })) as { items: T[] };
      full = items.length >= PAGE;
      yield* this.readOn(items);
    }
  }

  /** Items as they are kept, from what is held or from before that. */
  protected readOn(items: T[]): (T | Reset)[] {
    const first = items[0]?.no ?? 0;
    const lost = first > this.after + 1 ? [{ reset: `what came before number ${first} is kept no longer` }] : [];
    return [...lost, ...this.fresh(items)];
  }

  protected fresh(items: T[]): T[] {
    const fresh = items.filter((item) => item.no > this.after);
    this.after = fresh.at(-1)?.no ?? this.after;
    return fresh;
  }

  protected goBack(why: Reset): Reset[] {
    this.after = 0;
    this.behind = true;
    return [why];
  }
}

/** A job's log lines after number `after`, complete and in order. Where more than `most` are missing only the newest are told,
 * after a Reset. */
export class LogStream extends Numbered<LogLine> {
  private readonly most: number;

  constructor(id: string, after = 0, most = Infinity) {
    super(id, "logs", [`jobs/${id}/logs`], after);
    this.most = most;
  }

  protected override ownRevision() {
    return this.after;
  }

  protected override hold(data: unknown) {
    const { after, items, next } = data as { after: number; items: LogLine[]; next: number };
    const isJoined = after <= this.after;
    const told = [...this.skip(next), ...(isJoined ? this.readOn(items) : [])];
    this.behind = this.ended || next > this.after;
    return told;
  }

  protected override take(payload: unknown) {
    const { items } = payload as LogsPush;
    if ((items[0]?.no ?? 0) <= this.after + 1) return this.fresh(items);
    this.behind = true;
    return this.skip(items.at(-1)!.no);
  }

  protected override async *catchUp(get: Get) {
    if (this.most < Infinity && this.after === 0) {
      const { next } = (await get(this.items, { tail: 1 })) as { next: number };
      yield* this.skip(next);
    }
    yield* super.catchUp(get);
  }

  private skip(newest: number): Reset[] {
    if (newest - this.after <= this.most) return [];
    const told = this.after > 0 ? [{ reset: `only the newest ${this.most} lines are told` }] : [];
    this.after = newest - this.most;
    return told;
  }
}

export interface JobEvent {
  no: number;
  type: string;
  at: string;
  data: unknown;
}

/** What happened to a job after event `after`. Events are not pushed themselves: progress tells how many there are. */
export class EventStream extends Numbered<JobEvent> {
  constructor(id: string, after = 0) {
    super(id, "events", [], after);
  }

  protected override lookAt(job: Job): void {
    super.lookAt(job);
    this.behind ||= job.events_count > this.after;
  }
}

/** A job's metric points in the order they were logged. The cursor is a place in the attempt's spool. A new attempt takes
 * steps back that the one before had told, so it begins with a Reset. A first reading or a gap of more than `mostPoints`
 * comes as minimum and maximum of buckets. */
export class MetricStream extends OfJob<NewPoints> {
  private attempt = 0;
  private place = 0;
  private readonly last = new Map<string, number>();
  private readonly mostPoints: number;

  constructor(id: string, mostPoints = MOST_POINTS) {
    super(id, `jobs/${id}/metrics`);
    this.mostPoints = mostPoints;
  }

  /** Goes on from what was read already. */
  after({ cursor, series }: Pick<Metrics, "cursor" | "series">): this {
    [this.attempt, this.place] = newestOf(cursor);
    for (const { name, steps } of series) if (steps.length > 0) this.last.set(name, steps.at(-1)!);
    return this;
  }

  protected override ownRevision() {
    return this.place;
  }

  protected override hold(data: unknown) {
    const [newest, place] = newestOf((data as { cursor: Cursor }).cursor);
    this.behind = this.ended || newest > this.attempt || place > this.place;
    return [];
  }

  protected override take(payload: unknown) {
    const { attempt, from, to, reset, points } = payload as MetricsPush & { from: number; to: number };
    if (attempt < this.attempt || (attempt === this.attempt && to <= this.place)) return [];
    if (attempt > this.attempt || from > this.place || reset) {
      this.behind = true;
      return [];
    }
    // What was drained without being pushed may have been read already.
    const fresh = from < this.place ? points.map((series) => this.later(series)) : points;
    this.place = to;
    return this.tell(fresh);
  }

  protected async *catchUp(get: Get): AsyncGenerator<NewPoints | Reset> {
    // Points logged later are at this step or beyond it.
    const start = this.last.size > 0 ? Math.max(...this.last.values()) : undefined;
    let page = await this.page(get, start);
    const [newest] = newestOf(page.cursor);
    if (newest > this.attempt && this.attempt > 0) {
      yield* this.goBack({ reset: `attempt ${newest} began` });
      page = await this.page(get);
    }
    [this.attempt, this.place] = newestOf(page.cursor);
    yield* this.tell(page.series.map((series) => this.later(series)));
  }

  protected goBack(why: Reset): Reset[] {
    this.attempt = 0;
    this.place = 0;
    this.last.clear();
    this.behind = true;
    return [why];
  }

  private async page(get: Get, from?: number): Promise<Metrics> {
    return (await get(`${this.path}/metrics`, { from_step: from, max_points: this.mostPoints })) as Metrics;
  }

  private tell(points: Points): NewPoints[] {
    const series = points.filter(({ steps }) => steps.length > 0).map(({ name, steps, values }) => ({ name, steps, values }));
    for (const { name, steps } of series) this.last.set(name, Math.max(steps.at(-1)!, this.last.get(name) ?? -Infinity));
    return series.length > 0 ? [{ attempt: this.attempt, series }] : [];
  }

  /** The points beyond the last step that was told of the metric; steps ascend. */
  private later({ name, steps, values }: Points[number]): Points[number] {
    const last = this.last.get(name) ?? -Infinity;
    const at = steps.findIndex((step) => step > last);
    return at < 0 ? { name, steps: [], values: [] } : { name, steps: steps.slice(at), values: values.slice(at) };
  }
}

/** The newest attempt of a cursor and its place; zeros before the first. */
function newestOf(cursor: Cursor): [attempt: number, place: number] {
  const newest = Math.max(0, ...Object.keys(cursor).map(Number));
  return [newest, cursor[newest] ?? 0];
}
