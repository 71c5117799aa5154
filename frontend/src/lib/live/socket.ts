import { api } from "@/lib/api/client";
import type { Listener } from "./channels";
import { connection } from "./connection";
import type { OnStep } from "./follow";
import { Live } from "./live";
import type { Stream } from "./streams";

/** The one socket of this page. It carries subscriptions and what is pushed, never a command; auth is the session's cookie. */
const live = new Live({
  get: (path, query) => api(path, { query }),
  onSocket: (up) => connection.socket(up),
  onPacket: () => connection.heard(),
});

/** Opens the socket and keeps it open until `closeSocket`. */
export function openSocket(): void {
  live.open();
}

export function closeSocket(): void {
  live.close();
}

/** Hears a channel until the returned function is called. */
export function listen(channel: string, listener: Listener): () => void {
  return live.channels.listen(channel, listener);
}

/** What the stream tells, without a gap, until it is over or the signal stops it. */
export function follow<T>(stream: Stream<T>, signal: AbortSignal, onStep?: OnStep): AsyncGenerator<T> {
  return live.follow(stream, signal, onStep);
}
