import { describe, expect, test } from "vitest";
import { EMPTY_TRACK, addSample, broken, lengthen, sum } from "./tracks";

const track = { times: [10, 12, 14], values: { "cpu.percent": [1, 2, 3] } };
const sample = (at: number, gauges: Record<string, number>, host = "a") => ({ host, at, gauges });

describe("a host's track", () => {
  test("grows by what is newer than its end, and loses what is older than the hour", () => {
    const longer = lengthen(track, [sample(14, { "cpu.percent": 9 }), sample(16, { "cpu.percent": 4, "memory.used_bytes": 7 })], 12);
    expect(longer).toEqual({ times: [12, 14, 16], values: { "cpu.percent": [2, 3, 4], "memory.used_bytes": [null, null, 7] } });
  });

  test("stays the very same while nothing changes", () => {
    expect(lengthen(track, [], 0)).toBe(track);
    expect(lengthen(EMPTY_TRACK, [], 100)).toBe(EMPTY_TRACK);
  });

  test("the parts of one sample become one, by host", () => {
    let held = addSample([], sample(10, { "cpu.percent": 1 }), 0);
    held = addSample(held, sample(10, { "cpu.percent": 5 }, "b"), 0);
    held = addSample(held, sample(10, { "memory.used_bytes": 2 }), 0);
    expect(held).toEqual([sample(10, { "cpu.percent": 1, "memory.used_bytes": 2 }), sample(10, { "cpu.percent": 5 }, "b")]);
    expect(addSample(held, sample(20, {}), 15)).toEqual([sample(20, {})]);
  });

  test("labels add up, and what is unknown stays unknown", () => {
    const values = { "network.sent:eth0": [1, null], "network.sent:eth1": [2, null], "network.sentinel": [9, 9] };
    expect(sum({ times: [1, 2], values }, "network.sent")).toEqual([3, null]);
  });

  test("a line breaks where nothing was measured for long", () => {
    expect(broken([0, 2, 20, 22], [[1, 2, 3, 4]], 2)).toEqual([[0, 2, 11, 20, 22], [1, 2, null, 3, 4]]);
    expect(broken([0, 2, 4], [[1, 2, 3]], 2)).toEqual([[0, 2, 4], [1, 2, 3]]);
  });
});
