import { useNavigate } from "@tanstack/react-router";
import type { Job } from "@/types/api";
import { type Command, useJobCommand } from "@/lib/jobs/useJobCommand";

/** What may be done to the job in its state; a retry leads to the new job's page. */
export function useActions(job: Job) {
  const navigate = useNavigate();
  const command = useJobCommand(job.id);
  const run = (request: Command) =>
    command.mutate(request, {
      onSuccess: (next) => request.action === "retry" && next?.id && void navigate({ to: "/jobs/$id", params: { id: next.id } }),
    });
  return { run, busy: command.isPending ? command.variables.action : null, error: command.error };
}
