import { useSyncExternalStore } from "react";

/** One clock for the whole page: however many ages are shown, one timer ticks, and none when none is shown. */
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const watchers = new Set<() => void>();

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  if (watchers.size === 1) start();
  return () => {
    watchers.delete(watcher);
    if (watchers.size === 0) clearInterval(timer);
  };
}

function start(): void {
  now = Date.now();
  timer = setInterval(() => {
    now = Date.now();
    watchers.forEach((watcher) => watcher());
  }, 1_000);
}

/** The time in ms, new every second, rounded down to `resolutionMs` so that coarse texts are redrawn rarely. */
export function useNow(resolutionMs = 1_000): number {
  return useSyncExternalStore(watch, () => Math.floor(now / resolutionMs) * resolutionMs);
}
