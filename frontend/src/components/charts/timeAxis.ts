import type uPlot from "uplot";
import { clock, duration } from "@/lib/format/times";
import type { Range } from "./options";

const MAX_TICKS = 6;
/** Seconds a person counts in. */
const ROUND_SECONDS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400];

/** At most six round times within a range. */
export function timeTicks([min, max]: Range): number[] {
  const wanted = (max - min) / MAX_TICKS;
  const days = Math.ceil(wanted / 86_400) * 86_400;
  const every = ROUND_SECONDS.find((seconds) => seconds >= wanted) ?? days;
  const first = Math.ceil(min / every) * every;
  return Array.from({ length: Math.floor((max - first) / every) + 1 }, (_, i) => first + i * every);
}

/** `40 s`, `5 min`, `1 h 30 min`: no more places than a round time needs. */
export function tickTime(seconds: number): string {
  return duration(seconds).replace(/ (0+ (s|min)|0 h)$/, "");
}

/** An axis of seconds. */
export const TIME_AXIS: Pick<uPlot.Axis, "values" | "splits"> = {
  splits: (_chart, _axis, min, max) => timeTicks([min, max]),
  values: (_, ticks) => ticks.map(tickTime),
};

const MINUTE = 60;

/** An axis of moments, in Unix seconds: clock times, by round minutes of this page's own zone. */
export const CLOCK_AXIS: Pick<uPlot.Axis, "values" | "splits"> = {
  splits: (_chart, _axis, min, max) => {
    const shift = new Date(max * 1000).getTimezoneOffset() * MINUTE;
    return timeTicks([min - shift, max - shift]).map((tick) => tick + shift);
  },
  values: (_, ticks) => ticks.map((tick) => clock(tick * 1000, Date.now(), ticks.length > 1 && ticks[1]! - ticks[0]! < MINUTE)),
};
