/** Shows what is told: the first at once, then the newest every `ms`, and at once when it becomes whole or is whole no more. */
export function paced(show: (isWhole: boolean) => void, ms: number) {
  let shown = { at: -Infinity, isWhole: false };
  let later: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const tell = (isWhole: boolean) => {
    clearTimeout(later);
    if (stopped) return;
    const rest = shown.at + ms - performance.now();
    if (rest > 0 && isWhole === shown.isWhole) {
      later = setTimeout(tell, rest, isWhole);
      return;
    }
    shown = { at: performance.now(), isWhole };
    show(isWhole);
  };
  const stop = () => {
    clearTimeout(later);
    stopped = true;
  };
  return { tell, stop };
}
