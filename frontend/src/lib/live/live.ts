/** One installation, live: a socket that stays connected, and streams that have no gaps.
 * Twin of backend/headway/sdk/live.py; both pass the same protocol test. */

import { type Socket, io } from "socket.io-client";
import { POLL_MS, RECONNECT_MS } from "@/config/live";
import type { Push, SubscribeReply } from "@/types/api";
import { Channels } from "./channels";
import { type OnStep, follow } from "./follow";
import type { Get, Stream } from "./streams";

interface Options {
  /** Reads below /api/v1; what it throws has a `status`: 0 when nothing answered. */
  get: Get;
  /** Another server than the page's own, and the token to sign in with there. */
  url?: string;
  token?: string;
  onSocket?(up: boolean): void;
  onPacket?(): void;
}

export class Live {
  readonly channels: Channels;
  readonly get: Get;
  private readonly socket: Socket;
  private wanted = false;

  constructor({ get, url, token, onSocket, onPacket }: Options) {
    this.get = get;
    const socket = io(url, {
      path: "/socket.io",
      transports: ["websocket"],
      autoConnect: false,
      ...RECONNECT_MS,
      ...(token && { auth: { token } }),
    });
    this.socket = socket;
    this.channels = new Channels({
      get connected() {
        return socket.connected;
      },
      call: (event, asked, timeoutMs) => socket.timeout(timeoutMs).emitWithAck(event, asked) as Promise<SubscribeReply>,
    });
    socket.on("connect", () => {
      onSocket?.(true);
      this.channels.reconnected();
    });
    socket.on("disconnect", (reason) => {
      onSocket?.(false);
      this.channels.lost();
      // The library comes back by itself from everything but a server that closed on purpose: it may be restarting.
      if (reason === "io server disconnect") setTimeout(() => this.connect(), RECONNECT_MS.reconnectionDelay);
    });
    socket.on("connect_error", () => {
      if (!socket.active) setTimeout(() => this.connect(), POLL_MS);
    });
    socket.io.on("open", () => socket.io.engine.on("packet", () => onPacket?.()));
    socket.onAny((event: string, payload: Push) => this.channels.receive(event, payload));
  }

  /** Keeps the socket open until `close`. */
  open(): void {
    this.wanted = true;
    this.connect();
  }

  close(): void {
    this.wanted = false;
    this.socket.disconnect();
  }

  /** Drops the connection as a broken network would; it comes back by itself. */
  cut(): void {
    this.socket.io.engine.close();
  }

  /** What the stream tells, without a gap, until it is over or the signal stops it. */
  follow<T>(stream: Stream<T>, signal: AbortSignal, onStep?: OnStep): AsyncGenerator<T> {
    return follow(this, stream, signal, onStep);
  }

  private connect(): void {
    if (this.wanted && !this.socket.connected) this.socket.connect();
  }
}
