import { useEffect, useEffectEvent } from "react";
import type { Push } from "@/types/api";
import { listen } from "./socket";

interface Handlers<S, P extends Push> {
  onSnapshot?: (snapshot: S) => void;
  onEvent?: (payload: P, event: string) => void;
}

/** Hears a channel while the component stands; `null` hears nothing. */
export function useChannel<S, P extends Push>(channel: string | null, { onSnapshot, onEvent }: Handlers<S, P>): void {
  const snapshot = useEffectEvent((value: S) => onSnapshot?.(value));
  const event = useEffectEvent((payload: P, name: string) => onEvent?.(payload, name));
  useEffect(() => {
    if (channel === null) return;
    return listen(channel, {
      snapshot: (value) => snapshot(value as S),
      event: (name, payload) => event(payload as P, name),
    });
  }, [channel]);
}
