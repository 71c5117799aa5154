import { bytes } from "@/lib/format/numbers";
import { type Track, sum } from "@/lib/hardware/tracks";
import type { ChartSpec } from "./HardwareCharts";

export const perSecond = (value: number): string => `${bytes(value)}/s`;
/** Bytes at an axis: `20 MB`. */
export const byteTick = (value: number): string => bytes(value).replace(".0", "");
export const wholePercent = (value: number): string => `${Math.round(value)} %`;
const HUNDRED: [number, number] = [0, 100];
const FIRST = "--series-1";
const SECOND = "--series-2";

/** The charts of a host: its CPU, memory, disks, network, and those of each GPU. */
export function hostCharts(track: Track): ChartSpec[] {
  const column = (name: string) => track.values[name] ?? track.times.map(() => null);
  const newest = (name: string) => track.values[name]?.findLast((value) => value !== null) ?? 0;
  const swap = newest("memory.swap_total_bytes");
  return [
    { name: "CPU", bounds: HUNDRED, textOf: wholePercent, tickOf: wholePercent, lines: [{ name: "CPU", values: column("cpu.percent"), colour: FIRST }] },
    {
      name: "Memory",
      bounds: [0, Math.max(1, newest("memory.total_bytes"), swap)],
      textOf: bytes,
      tickOf: byteTick,
      lines: [
        { name: "RAM", values: column("memory.used_bytes"), colour: FIRST },
        ...(swap ? [{ name: "swap", values: column("memory.swap_used_bytes"), colour: SECOND }] : []),
      ],
    },
    {
      name: "Disk",
      textOf: perSecond,
      tickOf: byteTick,
      lines: [
        { name: "read", values: column("disk.read_bytes_per_second"), colour: FIRST },
        { name: "written", values: column("disk.written_bytes_per_second"), colour: SECOND },
      ],
    },
    {
      name: "Network",
      textOf: perSecond,
      tickOf: byteTick,
      lines: [
        { name: "in", values: sum(track, "network.received_bytes_per_second"), colour: FIRST },
        { name: "out", values: sum(track, "network.sent_bytes_per_second"), colour: SECOND },
      ],
    },
    ...gpusOf(track).flatMap((index) => gpuCharts(track, index)),
  ];
}

/** The indexes of the GPUs in a track. */
export function gpusOf(track: Track): string[] {
  const found = Object.keys(track.values).flatMap((key) => (key.startsWith("gpu.") ? [key.slice(key.indexOf(":") + 1)] : []));
  return [...new Set(found)].sort((a, b) => Number(a) - Number(b));
}

export function gpuCharts(track: Track, index: string): ChartSpec[] {
  const keyOf = (name: string) => `gpu.${name}:${index}`;
  const newest = (name: string) => track.values[keyOf(name)]?.findLast((value) => value !== null);
  const one = (title: string, name: string, textOf: (value: number) => string, bounds?: [number, number], tickOf = textOf): ChartSpec[] => {
    const values = track.values[keyOf(name)];
    return values ? [{ name: `GPU ${index} ${title}`, bounds, textOf, tickOf, lines: [{ name: title, values, colour: "--series-3" }] }] : [];
  };
  const memory = newest("memory_total_bytes");
  const limit = newest("power_limit_watts");
  return [
    ...one("utilisation", "utilisation_percent", wholePercent, HUNDRED),
    ...one("memory", "memory_used_bytes", bytes, memory ? [0, memory] : undefined, byteTick),
    ...one("temperature", "temperature_celsius", (value) => `${Math.round(value)} °C`),
    ...one("power", "power_watts", (value) => `${Math.round(value)} W`, limit ? [0, limit] : undefined),
  ];
}

export const cores = (value: number): string => `${value.toFixed(2)} ${value === 1 ? "core" : "cores"}`;
