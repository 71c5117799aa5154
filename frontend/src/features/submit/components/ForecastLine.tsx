import { bytes } from "@/lib/format/numbers";
import { duration } from "@/lib/format/times";
import type { Forecast, JsonObject } from "@/types/api";
import { useForecast } from "../api/forecast";
import classes from "./SubmitPage.module.css";

/** What the job would take, in one line that is there before anything is known. */
export function ForecastLine({ kind, config }: { kind: string; config: JsonObject }) {
  const forecast = useForecast(kind, config);
  return (
    <p className={`${classes.forecast} dim`} role="status">
      {forecast ? parts(forecast).join(" · ") : ""}
    </p>
  );
}

function parts(forecast: Forecast): string[] {
  const { says, seconds, seconds_low: low, seconds_high: high, runs, host, disk_bytes: disk, memory_bytes: memory } = forecast;
  const time =
    seconds === null ? "" : `About ${duration(seconds)} (${duration(low)} to ${duration(high)}), after ${runs} ${runs === 1 ? "run" : "runs"} on ${host}`;
  return [says, time, disk === null ? "" : `${bytes(disk)} of disk`, memory === null ? "" : `about ${bytes(memory)} of memory`].filter(Boolean);
}
