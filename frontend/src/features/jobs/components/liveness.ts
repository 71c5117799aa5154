import type { Mode } from "@/lib/live/connection";
import type { Liveness } from "@/types/api";

/** What a page can say of a job's life: a page that hears nothing knows nothing, however well the job was when it last heard. */
export function knownLiveness(told: Liveness | null, mode: Mode): Liveness | "unknown" {
  return mode === "offline" ? "unknown" : (told ?? "unknown");
}
