import { expect, test } from "vitest";
import { overheadText } from "./overhead";

test.each([
  [{ us_per_call: 1.43, percent_of_step: 0.0213, calls: 9 }, "tracking 1.4 µs a call · 0.021 % of the step"],
  [{ us_per_call: 21.6, percent_of_step: 2.3, calls: 9 }, "tracking 22 µs a call · 2.3 % of the step, over its budget of 1 %"],
  [{ us_per_call: null, percent_of_step: null, calls: 0 }, ""],
  [null, ""],
])("what tracking costs is said once it is measured: %#", (overhead, text) => expect(overheadText(overhead)).toBe(text));
