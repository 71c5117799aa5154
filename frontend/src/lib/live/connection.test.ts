import { describe, expect, test } from "vitest";
import { CONNECT_MS, STALE_MS } from "@/config/live";
import { modeOf } from "./connection";

const LATER = 1_000_000;
const state = (rest = {}) => ({ socketUp: false, restUp: true, startedAt: 0, heardAt: LATER, ...rest });

describe("the mode of the connection", () => {
  test("pushed while the socket is up, whatever REST does", () => {
    expect(modeOf(state({ socketUp: true, restUp: false }), LATER)).toBe("pushed");
  });

  test("polled while REST alone answers", () => {
    expect(modeOf(state(), LATER)).toBe("polled");
  });

  test("offline when REST fails, or when nothing was heard for long", () => {
    expect(modeOf(state({ restUp: false }), LATER)).toBe("offline");
    expect(modeOf(state(), LATER + STALE_MS)).toBe("offline");
  });

  test("a page just opened is connecting, not in trouble", () => {
    expect(modeOf(state({ startedAt: LATER }), LATER + 1)).toBe("connecting");
    expect(modeOf(state({ startedAt: LATER }), LATER + CONNECT_MS)).toBe("polled");
  });
});
