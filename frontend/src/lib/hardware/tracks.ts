import type { HostHistory } from "@/types/api";

/** A sample that was pushed or polled. */
export interface Sample {
  host: string;
  /** Unix seconds. */
  at: number;
  gauges: Record<string, number>;
}

/** What a host was measured at, over time: columns of one length. */
export interface Track {
  times: number[];
  values: Record<string, (number | null)[]>;
}

/** A gap of more than so many intervals is shown as one, not bridged by a line. */
const GAP_INTERVALS = 3;

export const EMPTY_TRACK: Track = { times: [], values: {} };

export function trackOf(history: HostHistory): Track {
  return { times: history.times, values: Object.fromEntries(history.series.map(({ gauge, values }) => [gauge, values])) };
}

/** Samples in order, those of one moment made one, from `since` on; channels tell of one sample in parts. */
export function addSample(samples: Sample[], sample: Sample, since: number): Sample[] {
  const kept = samples[0] && samples[0].at < since ? samples.filter((item) => item.at >= since) : samples;
  const index = kept.findIndex((item) => item.host === sample.host && item.at === sample.at);
  if (index < 0) return [...kept, sample];
  return kept.with(index, { ...sample, gauges: { ...kept[index]!.gauges, ...sample.gauges } });
}

/** The track from `since` on, lengthened by the samples that are newer than its end. */
export function lengthen(track: Track, samples: Sample[], since: number): Track {
  const last = track.times.at(-1) ?? -Infinity;
  const newer = samples.filter((sample) => sample.at > last);
  const first = track.times.findIndex((time) => time >= since);
  const from = first < 0 ? track.times.length : first;
  if (newer.length === 0 && from === 0) return track;
  const names = new Set([...Object.keys(track.values), ...newer.flatMap((sample) => Object.keys(sample.gauges))]);
  const columnOf = (name: string) => [
    ...(track.values[name]?.slice(from) ?? Array<null>(track.times.length - from).fill(null)),
    ...newer.map((sample) => sample.gauges[name] ?? null),
  ];
  return {
    times: [...track.times.slice(from), ...newer.map((sample) => sample.at)],
    values: Object.fromEntries([...names].map((name) => [name, columnOf(name)])),
  };
}

/** One column of several gauges added up: of all interfaces, say. */
export function sum(track: Track, name: string): (number | null)[] {
  const columns = Object.entries(track.values).filter(([key]) => key === name || key.startsWith(`${name}:`));
  if (columns.length === 1) return columns[0]![1];
  return track.times.map((_, i) => {
    const known = columns.map(([, values]) => values[i]).filter((value) => value !== null && value !== undefined);
    return known.length ? known.reduce((total, value) => total + value, 0) : null;
  });
}

/** The columns with an empty place wherever nothing was measured for long, so that a line breaks there. */
export function broken(times: number[], columns: (number | null)[][], interval: number): [number[], ...(number | null)[][]] {
  const gaps = times.flatMap((time, i) => (i > 0 && time - times[i - 1]! > GAP_INTERVALS * interval ? [i] : []));
  if (gaps.length === 0) return [times, ...columns];
  const insert = <T,>(list: T[], at: (index: number) => T) => {
    const made: T[] = [];
    let next = 0;
    list.forEach((item, i) => {
      if (gaps[next] === i) {
        made.push(at(i));
        next += 1;
      }
      made.push(item);
    });
    return made;
  };
  return [insert(times, (i) => (times[i - 1]! + times[i]!) / 2), ...columns.map((column) => insert<number | null>(column, () => null))];
}
