import { expect, test } from "vitest";
import type { Phase } from "@/types/api";
import { noteOf } from "./phaseNote";

const phase = (rest: Partial<Phase>) => ({ state: "pending", percent: 0, eta_seconds: null, started_at: null, finished_at: null, ...rest }) as Phase;

test.each([
  [phase({ percent: 61 }), "running", "61.00 % so far"],
  [phase({ percent: 61, state: "running" }), "running", "61.00 %"],
  [phase({ percent: 61, state: "running", eta_seconds: 90 }), "running", "61.00 %, 1 min 30 s left"],
  [phase({ percent: 61 }), "cancelled", "61.00 %"],
  [phase({ eta_seconds: 90 }), "running", "about 1 min 30 s"],
  [phase({}), "running", "to come"],
  [phase({}), "failed", "not reached"],
] as const)("a phase says how far it is, in its turn or between two: %#", (subject, state, text) => {
  expect(noteOf(subject, state)).toBe(text);
});
