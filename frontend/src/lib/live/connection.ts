import { useSyncExternalStore } from "react";
import { CONNECT_MS, STALE_MS } from "@/config/live";

/** How data comes at the moment: pushed by the socket, polled by REST, or not at all; at the very start nobody knows yet. */
export type Mode = "pushed" | "polled" | "offline" | "connecting";

export interface ConnectionState {
  socketUp: boolean;
  restUp: boolean;
  /** When this page began to connect. */
  startedAt: number;
  /** When the server was last heard, in ms of this machine's clock. */
  heardAt: number;
}

export function modeOf(state: ConnectionState, now: number): Mode {
  if (state.socketUp) return "pushed";
  if (state.restUp && now - state.startedAt < CONNECT_MS) return "connecting";
  return state.restUp && now - state.heardAt < STALE_MS ? "polled" : "offline";
}

/** What is known about the way to the server; the socket and the API client report to it. */
class Connection {
  private state: ConnectionState = { socketUp: false, restUp: true, startedAt: Date.now(), heardAt: Date.now() };
  private readonly watchers = new Set<() => void>();

  readonly read = () => this.state;

  readonly watch = (watcher: () => void) => {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  };

  socket(up: boolean): void {
    this.set({ socketUp: up, ...(up && { heardAt: Date.now() }) });
  }

  /** A packet came in by the socket. Nothing is redrawn for it: who shows the age reads it when it ticks. */
  heard(): void {
    this.state = { ...this.state, heardAt: Date.now() };
  }

  answered(well: boolean): void {
    this.set(well ? { restUp: true, heardAt: Date.now() } : { restUp: false });
  }

  failed(): void {
    this.set({ restUp: false });
  }

  private set(change: Partial<ConnectionState>): void {
    const before = this.state;
    this.state = { ...before, ...change };
    if (before.socketUp === this.state.socketUp && before.restUp === this.state.restUp) return;
    this.watchers.forEach((watcher) => watcher());
  }
}

export const connection = new Connection();

export function useSocketUp(): boolean {
  return useSyncExternalStore(connection.watch, () => connection.read().socketUp);
}
