import { useNow } from "@/lib/format/useNow";
import { type Mode, connection, modeOf } from "./connection";

/** How data comes at the moment; read anew every second, since silence is what makes a page stale. */
export function useMode(): Mode {
  return modeOf(connection.read(), useNow());
}
