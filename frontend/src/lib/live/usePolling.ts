import { POLL_MS } from "@/config/live";
import { useSocketUp } from "./connection";

/** The fallback: ask by REST every 2 s, but only while the socket is away. */
export function usePolling(): number | false {
  return useSocketUp() ? false : POLL_MS;
}
