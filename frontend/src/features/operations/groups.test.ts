import { expect, test } from "vitest";
import type { Job, Operations } from "@/types/api";
import { earlierFailures, groupsOf, hostText } from "./groups";
import { usesOf } from "./uses";

const job = (id: string, rest: Partial<Job>) => ({ id, state: "running", queue: "cpu", priority: 0, queued_at: null, environment: null, ...rest }) as Job;

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
  const groups = groupsOf({ active: ACTIVE, hosts: [{ name: "alder" }, { name: "birch" }] });
  expect(groups.hosts.map(({ name, jobs }) => [name, jobs.map(({ id }) => id)])).toEqual([["alder", ["a"]], ["birch", []], ["starting", ["b"]]]);
  expect(groups.queued.map(({ id }) => id)).toEqual(["urgent", "early", "late"]);
  expect([groups.paused, groups.waiting, groups.ended].map((jobs) => jobs.map(({ id }) => id))).toEqual([["p"], ["w"], ["f"]]);
});

test("a host tells what it does with what it has, and no more than is measured", () => {
  const rest = { cpus: 2, memory_mb: 4000, gpus: [{}] } as unknown as Operations["hosts"][number];
  expect(hostText({ ...rest, cpu_percent: 42.6, memory_used_bytes: 1.2e9 })).toBe("43 % of 2 CPUs · 1.2 GB of 4.2 GB · 1 GPU");
  expect(hostText({ ...rest, cpu_percent: null, memory_used_bytes: null, gpus: [] })).toBe("2 CPUs · 4.2 GB · no GPU");
});

test("a failure that just ended is not told twice", () => {
  const failures = [{ job_id: "f" }, { job_id: "g" }] as Operations["failures"];
  expect(earlierFailures({ active: ACTIVE, failures }).map(({ job_id }) => job_id)).toEqual(["g"]);
});

test("a running job shows what it uses, measured or estimated, and before that what it keeps for itself", () => {
  const resources = { cpu_threads: 2, memory_mb: 512, gpus: 1 };
  expect(usesOf({ resources })).toBe("2 threads · 512.0 MB · 1 GPU");
  const used = { cpu_cores: 1.04, memory_bytes: 3e8, gpu_percent: 71.2, estimated: true };
  expect(usesOf({ resources: { ...resources, used } })).toBe("1.0 cores · 300.0 MB · GPU 71 % (estimated)");
});
