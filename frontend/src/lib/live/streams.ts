/** What can be followed, and how it is told whole: each stream keeps a cursor of its own and knows when it is behind.
 * What a stream gives back is new, in order, and given once. When it is `behind`, `read` brings the missing part over
 * HTTP. A Reset says that what was told before no longer holds: drop it, all of it follows.
 * Twin of backend/headway/sdk/streams.py. */

import type { Job, JobPush, OperationsPush } from "@/types/api";

const TERMINAL = new Set(["completed", "failed", "cancelled"]);
const MOST_JOBS = 5_000;

export type Get = (path: string, query?: Record<string, string | number | undefined>) => Promise<unknown>;

export interface Reset {
  reset: string;
}

export const SERVER_BEHIND: Reset = { reset: "the server is behind what was told" };

export interface Stream<T> {
  readonly channels: readonly string[];
  /** Nothing more can come. */
  over: boolean;
  /** A part is missing. */
  behind: boolean;
  /** What is held of a channel, for the server to see whether that is ahead of it. */
  revision(channel: string): number | undefined;
  /** `reset`: the server has less than what is held. */
  snapshot(channel: string, data: unknown, reset: boolean): T[];
  push(channel: string, payload: unknown): T[];
  /** The missing part over HTTP; `behind` is false after it. `polled`: there are no pushes, so what they would tell is asked for too. */
  read(get: Get, polled: boolean): AsyncGenerator<T>;
}

export const jobPath = (id: string) => `/jobs/${encodeURIComponent(id)}`;
export const isFinal = (job: Pick<Job, "state">) => TERMINAL.has(job.state);

/** A job's progress: only newer revisions, and the final one always. */
export class JobStream implements Stream<Job | Reset> {
  readonly channels: readonly string[];
  over = false;
  behind = false;
  private readonly path: string;
  private held: number | undefined;

  constructor(id: string, held?: number) {
    this.path = jobPath(id);
    this.channels = [`jobs/${id}/progress`];
    this.held = held;
  }

  revision() {
    return this.held;
  }

  snapshot(_: string, data: unknown, reset: boolean) {
    return [...this.resetIf(reset), ...this.newer(data as Job)];
  }

  push(_: string, payload: unknown) {
    return this.newer((payload as JobPush).job);
  }

  async *read(get: Get) {
    const held = this.held;
    const job = (await get(this.path)) as Job;
    // Asked after what is held was told: only a history that is gone can be older.
    yield* [...this.resetIf(held !== undefined && job.revision < held), ...this.newer(job)];
  }

  private resetIf(gone: boolean): Reset[] {
    if (!gone) return [];
    this.held = undefined;
    return [SERVER_BEHIND];
  }

  private newer(job: Job): Job[] {
    if (this.held !== undefined && job.revision <= this.held) {
      this.over ||= job.revision === this.held && isFinal(job);
      return [];
    }
    this.held = job.revision;
    this.over = isFinal(job);
    return [job];
  }
}

/** Every change of every job; each job only forward. It has no end. */
export class JobsStream implements Stream<Job | Reset> {
  readonly channels = ["operations"];
  over = false;
  behind = false;
  private held = new Map<string, { revision: number; final: boolean }>();
  private missed: string[] = [];

  revision() {
    return undefined;
  }

  snapshot(_: string, data: unknown) {
    return this.all((data as { items: Job[] }).items);
  }

  push(_: string, payload: unknown) {
    const { job } = payload as OperationsPush;
    return job ? this.newer(job) : [];
  }

  async *read(get: Get) {
    yield* this.all(((await get("/operations")) as { active: Job[] }).active);
    for (let id = this.missed.at(-1); id !== undefined; id = this.missed.at(-1)) {
      const job = (await get(jobPath(id)).catch(ifThere)) as Job | null;
      if (job) yield* this.newer(job);
      this.held.delete(id);
      this.missed.pop();
    }
    this.behind = false;
  }

  private all(jobs: Job[]): Job[] {
    const told = jobs.flatMap((job) => this.newer(job));
    const there = new Set(jobs.map((job) => job.id));
    // What was under way and is no longer shown ended meanwhile: its final state is asked for.
    this.missed = [...this.held].filter(([id, { final }]) => !final && !there.has(id)).map(([id]) => id);
    this.behind = this.missed.length > 0;
    return told;
  }

  private newer(job: Job): Job[] {
    if (job.revision <= (this.held.get(job.id)?.revision ?? -1)) return [];
    if (this.held.size >= MOST_JOBS) this.held = new Map([...this.held].filter(([, { final }]) => !final));
    this.held.set(job.id, { revision: job.revision, final: isFinal(job) });
    return [job];
  }
}

function ifThere(error: unknown): null {
  if (error instanceof Error && "status" in error && error.status === 404) return null;
  throw error;
}
