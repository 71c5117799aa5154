import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LINGER_MS, POLL_MS } from "@/config/live";
import type { SubscribeReply } from "@/types/api";
import { Channels } from "./channels";

const CHANNEL = "jobs/a/progress";

function setUp(replies: (SubscribeReply | null)[] = []) {
  const calls: string[] = [];
  const wire = {
    connected: true,
    async call(event: string, { channel }: { channel: string }): Promise<SubscribeReply> {
      calls.push(`${event} ${channel}`);
      const reply = replies.length ? replies.shift() : { ok: true as const, channel, snapshot: calls.length };
      if (!reply) throw new Error("timed out");
      return reply;
    },
  };
  return { calls, wire, channels: new Channels(wire) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("channels", () => {
  test("two listeners cost one subscription, and the last one's leaving ends it", async () => {
    const { calls, channels } = setUp();
    const leaveFirst = channels.listen(CHANNEL, {});
    const leaveSecond = channels.listen(CHANNEL, {});
    leaveFirst();
    await vi.advanceTimersByTimeAsync(2 * LINGER_MS);
    expect(calls).toEqual([`subscribe ${CHANNEL}`]);
    leaveSecond();
    await vi.advanceTimersByTimeAsync(2 * LINGER_MS);
    expect(calls).toEqual([`subscribe ${CHANNEL}`, `unsubscribe ${CHANNEL}`]);
  });

  test("who comes back soon gets a fresh snapshot and is never unsubscribed", async () => {
    const { calls, channels } = setUp();
    channels.listen(CHANNEL, {})();
    const snapshot = vi.fn();
    channels.listen(CHANNEL, { snapshot });
    await vi.advanceTimersByTimeAsync(2 * LINGER_MS);
    expect(calls).toEqual([`subscribe ${CHANNEL}`, `subscribe ${CHANNEL}`]);
    expect(snapshot).toHaveBeenCalled();
  });

  test("every reconnection subscribes again and hands out the new snapshot", async () => {
    const { channels, wire } = setUp();
    const snapshot = vi.fn();
    channels.listen(CHANNEL, { snapshot });
    await vi.advanceTimersByTimeAsync(0);
    wire.connected = false;
    wire.connected = true;
    channels.reconnected();
    await vi.advanceTimersByTimeAsync(0);
    expect(snapshot.mock.calls).toEqual([[1, false], [2, false]]);
  });

  test("who comes later hears a snapshot of its own, and the others nothing", async () => {
    const { channels } = setUp();
    const first = vi.fn();
    const second = vi.fn();
    channels.listen(CHANNEL, { snapshot: first });
    await vi.advanceTimersByTimeAsync(0);
    channels.listen(CHANNEL, { snapshot: second });
    await vi.advanceTimersByTimeAsync(0);
    expect(first.mock.calls).toEqual([[1, false]]);
    expect(second.mock.calls).toEqual([[2, false]]);
  });

  test("everybody hears once that the connection is lost, however many channels it listens to", () => {
    const { channels } = setUp();
    const listener = { lost: vi.fn() };
    channels.listen(CHANNEL, listener);
    channels.listen("jobs/a/logs", listener);
    channels.lost();
    expect(listener.lost).toHaveBeenCalledOnce();
  });

  test("a listener that came while disconnected is subscribed with the connection", async () => {
    const { calls, channels, wire } = setUp();
    wire.connected = false;
    channels.listen(CHANNEL, {});
    expect(calls).toEqual([]);
    wire.connected = true;
    channels.reconnected();
    expect(calls).toEqual([`subscribe ${CHANNEL}`]);
  });

  test("a subscription without an answer is asked again", async () => {
    const { channels } = setUp([null, { ok: true, channel: CHANNEL, snapshot: "late" }]);
    const snapshot = vi.fn();
    channels.listen(CHANNEL, { snapshot });
    await vi.advanceTimersByTimeAsync(2 * POLL_MS);
    expect(snapshot.mock.calls).toEqual([["late", false]]);
  });

  test("a refusal reaches the listener with its reason", async () => {
    const { channels } = setUp([{ ok: false, error: "no such job" }]);
    const refused = vi.fn();
    channels.listen(CHANNEL, { refused });
    await vi.advanceTimersByTimeAsync(0);
    expect(refused).toHaveBeenCalledWith("no such job");
  });

  test("events reach the listeners of their channel alone", () => {
    const { channels } = setUp();
    const mine = vi.fn();
    const other = vi.fn();
    channels.listen(CHANNEL, { event: mine });
    channels.listen("jobs/b/progress", { event: other });
    channels.receive("job:progress", { channel: CHANNEL, revision: 1 });
    expect(mine).toHaveBeenCalledOnce();
    expect(other).not.toHaveBeenCalled();
  });
});
