import { useLocalStorage } from "@mantine/hooks";

export const INTERVALS = [1, 2, 5, 10];

/** The seconds between two redraws that this browser chose last; never fewer than the server measures in. */
export function useRedrawInterval(measuredEvery: number): { interval: number; choose: (seconds: number) => void } {
  const [chosen, choose] = useLocalStorage({ key: "headway-system-interval", defaultValue: 2, getInitialValueInEffect: false });
  const known = INTERVALS.includes(chosen) ? chosen : 2;
  return { interval: Math.max(known, INTERVALS.find((seconds) => seconds >= measuredEvery) ?? INTERVALS.at(-1)!), choose };
}
