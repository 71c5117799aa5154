import { LOG_LINES } from "@/config/live";
import { LogStream } from "@/lib/live/jobStreams";
import type { Reset } from "@/lib/live/streams";
import { useFollowed } from "@/lib/live/useFollowed";
import type { LogLine } from "@/types/api";

const NONE: LogLine[] = [];

/** The end of a job's log, without a gap. */
export function useLogs(id: string): { lines: LogLine[]; isPending: boolean } {
  const { value, isWhole } = useFollowed(id, () => new LogStream(id, 0, LOG_LINES), NONE, longer);
  return { lines: value, isPending: !isWhole };
}

function longer(held: LogLine[], told: (LogLine | Reset)[]): LogLine[] {
  const reset = told.findLastIndex((each) => "reset" in each);
  const lines = told.slice(reset + 1) as LogLine[];
  return (reset < 0 ? [...held, ...lines] : lines).slice(-LOG_LINES);
}
