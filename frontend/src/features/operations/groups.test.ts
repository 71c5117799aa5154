import { expect, test } from "vitest";
import type { Job, Operations } from "@/types/api";
import { groupsOf, queuesOf } from "./groups";

const job = (id: string, rest: Partial<Job>) => ({ id, state: "running", queue: "cpu", priority: 0, queued_at: null, environment: null, ...rest }) as Job;
const host = (name: string, slots: Record<string, number>) => ({ name, slots }) as unknown as Operations["hosts"][number];

const ACTIVE = [
  job("a", { environment: { host: "alder" } }),
  job("b", {}),
  job("late", { state: "queued", queued_at: "2026-01-02T00:00:00Z" }),
  job("early", { state: "queued", queued_at: "2026-01-01T00:00:00Z" }),
  job("urgent", { state: "queued", queued_at: "2026-01-03T00:00:00Z", priority: 5 }),
  job("p", { state: "paused" }),
  job("w", { state: "waiting" }),
  job("f", { state: "failed" }),
];

test("what runs stands at its host, idle hosts stand too, and what waits stands in the order it is taken", () => {
  const groups = groupsOf({ active: ACTIVE, hosts: [host("alder", {}), host("birch", {})] });
  expect(groups.hosts.map(({ name, jobs }) => [name, jobs.map(({ id }) => id)])).toEqual([["alder", ["a"]], ["birch", []], ["starting", ["b"]]]);
  expect(groups.queued.map(({ id }) => id)).toEqual(["urgent", "early", "late"]);
  expect([groups.paused, groups.waiting, groups.ended].map((jobs) => jobs.map(({ id }) => id))).toEqual([["p"], ["w"], ["f"]]);
});

test("a queue tells its slots over all hosts and since when its first job waits", () => {
  const hosts = [host("alder", { cpu: 2, gpu: 1 }), host("birch", { cpu: 4 })];
  const queues = queuesOf({ active: ACTIVE, hosts, queues: [{ queue: "cpu", queued: 3, running: 2 }, { queue: "io", queued: 0, running: 0 }] });
  expect(queues.map(({ name, slots, queued, since }) => [name, slots, queued, since])).toEqual([
    ["cpu", 6, 3, "2026-01-01T00:00:00Z"],
    ["gpu", 1, 0, null],
    ["io", 0, 0, null],
  ]);
});
