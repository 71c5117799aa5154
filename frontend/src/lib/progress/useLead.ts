import { useReducedMotion } from "@mantine/hooks";
import { useState } from "react";
import { type Lead, type Told, advance } from "./lead";

interface Input {
  /** 0 to 100. */
  percent: number;
  run: string;
  moving: boolean;
  /** When the value was true, ISO 8601. */
  updatedAt: string;
}

/** The style that moves a bar by a CSS transition: no frame of it costs any script. */
export function useLead({ percent, run, moving, updatedAt }: Input): React.CSSProperties {
  const still = useReducedMotion();
  const told = { value: percent / 100, at: Date.parse(updatedAt), run, moving };
  const [held, setHeld] = useState<{ told: Told; lead: Lead }>(() => ({ told, lead: advance(null, told) }));
  let { lead } = held;
  if (!sameTelling(held.told, told)) {
    lead = advance(held.lead, told);
    setHeld({ told, lead });
  }
  if (still) return { transform: `scaleX(${told.value})` };
  if (lead.moves === 1) return { transform: `scaleX(${lead.target})` };
  return { transform: `scaleX(${lead.target})`, transition: `transform ${Math.round(lead.durationMs)}ms steps(${lead.moves})` };
}

function sameTelling(a: Told, b: Told): boolean {
  return a.value === b.value && a.run === b.run && a.moving === b.moving;
}
