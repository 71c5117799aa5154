import { PhaseBar } from "@/components/ui/PhaseBar";
import type { StudySummary } from "@/types/api";

/** A study's progress as one piece; its jobs' own bars stand beside their names. */
export function StudyBar({ study, size }: { study: StudySummary; size?: "thin" | "tall" }) {
  const state = study.state === "waiting" ? "queued" : study.state;
  const told = study.percent.toFixed(2);
  return <PhaseBar size={size} job={{ ...study, state, attempt: 0, phases: [], updated_at: study.finished_at ?? study.created_at }} key={`${study.id}${told === "0.00"}`} />;
}
