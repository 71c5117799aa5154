import { describe, expect, test } from "vitest";
import { told } from "./results";

describe("what a job made", () => {
  test("samples stand apart from the facts", () => {
    const sample = { after: " So.", before: " No.", prompt: "How?" };
    const { facts, samples } = told({ meta: { pairs: 8, evaluation: { loss: 0.6222864389 }, samples: [sample] } });
    expect(facts).toEqual({ pairs: 8, evaluation: { loss: 0.6223 } });
    expect(samples.map(Object.entries)).toEqual([[["prompt", "How?"], ["before", " No."], ["after", " So."]]]);
  });

  test("what is no text by name is no sample", () => {
    expect(told({ meta: { samples: [3, null, ["a"], { prompt: 1 }] } }).samples).toEqual([]);
    expect(told({ meta: {} })).toEqual({ facts: {}, samples: [] });
  });
});
