import type { Job, JsonObject } from "@/types/api";

/** What the advice of a failure would change of the config; null if there is none, or none that changes it. */
export function adviceOf({ state, error }: Job): JsonObject | null {
  const patch = error?.advice?.config_patch as JsonObject | undefined;
  return state === "failed" && patch && Object.keys(patch).length > 0 ? patch : null;
}
