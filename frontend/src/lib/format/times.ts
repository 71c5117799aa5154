const SECONDS_BELOW = 600;
const DAY = 86_400;

const clocks = new Map<string, Intl.DateTimeFormat>();

function formatter(key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const known = clocks.get(key) ?? new Intl.DateTimeFormat("en-GB", options);
  clocks.set(key, known);
  return known;
}

/** `14:20`; with seconds when it is near, with the day when it is not today. */
export function clock(at: number, now: number, withSeconds = false): string {
  const day = new Date(at).toDateString() === new Date(now).toDateString() ? {} : { day: "numeric", month: "short" };
  const second = withSeconds ? { second: "2-digit" } : {};
  const options = { hour: "2-digit", minute: "2-digit", ...second, ...day } as Intl.DateTimeFormatOptions;
  return formatter(Object.keys(options).join(), options).format(at);
}

/** `42 s`, `3 min 05 s`, `2 h 07 min`, `3 d 4 h`: two places, so that the width hardly moves. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${pad(s % 60)} s`;
  if (s < DAY) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / DAY)} d ${Math.floor((s % DAY) / 3600)} h`;
}

/** `now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`. */
export function ago(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 2) return "now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < DAY) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / DAY)} d ago`;
}

export interface Arrival {
  at: string;
  low: string | null;
  high: string | null;
}

interface Estimate {
  eta_seconds: number | null;
  eta_low_seconds?: number | null;
  eta_high_seconds?: number | null;
  updated_at: string;
}

/** The clock times of an estimate, counted from when it was made; null while nothing is known. */
export function arrival(estimate: Estimate, now: number): Arrival | null {
  const { eta_seconds, eta_low_seconds, eta_high_seconds } = estimate;
  if (eta_seconds === null) return null;
  const made = Date.parse(estimate.updated_at);
  const near = (eta_high_seconds ?? eta_seconds) < SECONDS_BELOW;
  const at = (seconds: number | null | undefined) =>
    seconds === null || seconds === undefined ? null : clock(made + seconds * 1000, now, near);
  return { at: at(eta_seconds)!, low: at(eta_low_seconds), high: at(eta_high_seconds) };
}

const pad = (value: number): string => String(value).padStart(2, "0");
