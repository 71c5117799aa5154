import { expect, test } from "vitest";
import type { Job } from "@/types/api";
import { activity } from "./activity";

const job = (rest: Partial<Job>) => ({ state: "running", phase: null, phases: [], counters: [], message: null, error: null, ...rest }) as unknown as Job;

const NAMES = new Map([
  ["a", "tokenize"],
  ["b", "model"],
]);

test.each([
  [job({ phase: "training", counters: [{ unit: "step", current: 456, total: 1000 }] }), "Training · Step 456/1,000"],
  [job({ state: "waiting", waiting_for: ["a", "b"] }), "waits for tokenize, model"],
  [job({ state: "waiting", waiting_for: ["a", "elsewhere"] }), "waits for 2 other jobs"],
  [job({ state: "queued", waiting_for: [] }), "in the queue"],
  [job({ state: "queued", waiting_for: ["a host with 2 GPUs and 512 MB of memory"] }), "waits for a host with 2 GPUs and 512 MB of memory"],
  [job({ state: "failed", error: { class: "OOM", message: "no memory", advice: null } }), "no memory"],
  [job({ message: "loading" }), "loading"],
])("a job's line says what it does or why it does nothing: %#", (subject, text) => {
  expect(activity(subject, NAMES)).toBe(text);
});
