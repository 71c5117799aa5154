import { LINGER_MS, POLL_MS, TIMEOUT_MS } from "@/config/live";
import type { Push, SubscribeReply } from "@/types/api";

/** What a listener hears of its channel: the snapshot with every (re)subscription, then the events. */
export interface Listener {
  /** `reset`: the server has less than this listener said it holds; its history is gone. */
  snapshot?(snapshot: unknown, reset: boolean): void;
  event?(name: string, payload: Push): void;
  refused?(reason: string): void;
  /** The connection is gone; it comes back by itself, and brings a snapshot. */
  lost?(): void;
  /** What this listener holds of the channel. */
  revision?(): number | undefined;
}

type Asked = { channel: string; revision?: number };

/** The part of a socket that channels need. */
export interface Wire {
  readonly connected: boolean;
  call(event: "subscribe" | "unsubscribe", payload: Asked, timeoutMs: number): Promise<SubscribeReply>;
}

/** Channels by reference count over one wire: the first listener subscribes, the last one's leaving unsubscribes. */
export class Channels {
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly wire: Wire;

  constructor(wire: Wire) {
    this.wire = wire;
  }

  listen(channel: string, listener: Listener): () => void {
    const known = this.listeners.get(channel);
    if (known) {
      known.add(listener);
      if (listener.snapshot) void this.subscribe(channel, [listener]);
    } else {
      this.listeners.set(channel, new Set([listener]));
      void this.subscribe(channel);
    }
    return () => this.leave(channel, listener);
  }

  /** The wire is new: everything that is listened to is subscribed again, and its snapshot makes it whole. */
  reconnected(): void {
    for (const channel of this.listeners.keys()) void this.subscribe(channel);
  }

  /** Silence is looked into: the channel's snapshot is asked for again. */
  again(channel: string): void {
    void this.subscribe(channel);
  }

  lost(): void {
    const everybody = new Set([...this.listeners.values()].flatMap((listeners) => [...listeners]));
    everybody.forEach((listener) => listener.lost?.());
  }

  receive(event: string, payload: Push): void {
    this.listeners.get(payload.channel)?.forEach((listener) => listener.event?.(event, payload));
  }

  private leave(channel: string, listener: Listener): void {
    const known = this.listeners.get(channel);
    if (!known?.delete(listener) || known.size > 0) return;
    this.listeners.delete(channel);
    this.later(channel, LINGER_MS, () => {
      if (this.wire.connected && !this.listeners.has(channel)) void this.ask("unsubscribe", { channel });
    });
  }

  /** Subscribes for all that listen, or for those that came later. */
  private async subscribe(channel: string, newcomers?: Listener[]): Promise<void> {
    clearTimeout(this.timers.get(channel));
    this.timers.delete(channel);
    if (!this.wire.connected) return;
    const listeners = () => newcomers ?? [...(this.listeners.get(channel) ?? [])];
    const held = listeners().flatMap((listener) => listener.revision?.() ?? []);
    const reply = await this.ask("subscribe", { channel, ...(held.length > 0 && { revision: Math.max(...held) }) });
    if (reply?.ok) listeners().forEach((listener) => listener.snapshot?.(reply.snapshot, reply.reset ?? false));
    else if (reply) listeners().forEach((listener) => listener.refused?.(reply.error));
    else if (this.listeners.has(channel) && this.wire.connected) this.later(channel, POLL_MS, () => void this.subscribe(channel));
  }

  /** The reply, or null when none came in time. */
  private ask(event: "subscribe" | "unsubscribe", asked: Asked): Promise<SubscribeReply | null> {
    return this.wire.call(event, asked, TIMEOUT_MS).catch(() => null);
  }

  private later(channel: string, ms: number, act: () => void): void {
    clearTimeout(this.timers.get(channel));
    this.timers.set(
      channel,
      setTimeout(() => {
        this.timers.delete(channel);
        act();
      }, ms),
    );
  }
}
