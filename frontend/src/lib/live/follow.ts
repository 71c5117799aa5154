/** How a stream is followed without a gap: pushes while the socket is up, HTTP for what is missing and while it is away.
 * Twin of backend/headway/sdk/follow.py. */

import { FIRST_MS, POLL_MS, QUIET_MS } from "@/config/live";
import type { Push } from "@/types/api";
import type { Channels } from "./channels";
import { type Heard, Inbox } from "./inbox";
import type { Get, Stream } from "./streams";

interface Connection {
  channels: Channels;
  get: Get;
}

/** Told after each step of following: whether all that there is has been told. */
export type OnStep = (isWhole: boolean) => void;

/** What the stream tells until it is over or the signal stops it. Throws what HTTP refuses; waits while nothing answers. */
export async function* follow<T>({ channels, get }: Connection, stream: Stream<T>, signal: AbortSignal, onStep?: OnStep): AsyncGenerator<T> {
  const inbox = new Inbox();
  const leave = stream.channels.map((channel) => channels.listen(channel, listenerOf(inbox, stream, channel)));
  const answered = new Set<string>();
  let patience = FIRST_MS;
  try {
    while (!stream.over && !signal.aborted) {
      const heard = await inbox.next(patience, signal);
      if (signal.aborted) return;
      yield* take(stream, answered, heard);
      const isWhole = answered.size === stream.channels.length;
      const polled = !isWhole && (heard === null || heard.what === "refused");
      const isRead = (stream.behind || polled) && (yield* readOn(stream, get, polled));
      onStep?.(isRead || (isWhole && !stream.behind));
      if (heard === null || heard.what === "overflow") stream.channels.forEach((channel) => channels.again(channel));
      patience = isWhole && !stream.behind ? QUIET_MS * (0.8 + 0.4 * Math.random()) : POLL_MS;
    }
  } finally {
    leave.forEach((each) => each());
  }
}

function listenerOf<T>(inbox: Inbox, stream: Stream<T>, channel: string) {
  return {
    snapshot: (data: unknown, reset: boolean) => inbox.put({ what: "snapshot", channel, data, reset }),
    event: (_: string, data: Push) => inbox.put({ what: "push", channel, data }),
    refused: () => inbox.put({ what: "refused" }),
    lost: () => inbox.put({ what: "lost" }),
    revision: () => stream.revision(channel),
  };
}

function take<T>(stream: Stream<T>, answered: Set<string>, heard: Heard | null): T[] {
  if (heard === null) return [];
  if (heard.what === "push") return stream.push(heard.channel, heard.data);
  if (heard.what === "snapshot") {
    answered.add(heard.channel);
    return stream.snapshot(heard.channel, heard.data, heard.reset);
  }
  answered.clear();
  return [];
}

/** The missing part; when nothing answers, it comes with a later try, and the answer is false. */
async function* readOn<T>(stream: Stream<T>, get: Get, polled: boolean): AsyncGenerator<T, boolean> {
  try {
    yield* stream.read(get, polled);
    return true;
  } catch (error) {
    if (!isAway(error)) throw error;
    return false;
  }
}

function isAway(error: unknown): boolean {
  const status = error instanceof Error && "status" in error ? Number(error.status) : NaN;
  return status === 0 || status >= 500;
}
