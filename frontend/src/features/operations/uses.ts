import { bytes } from "@/lib/format/numbers";
import type { Job } from "@/types/api";

interface Used {
  cpu_cores: number;
  memory_bytes: number;
  gpu_percent?: number | null;
  estimated: boolean;
}

/** What a job uses as measured, `1.0 cores · 300.0 MB · GPU 71 %`; before that what it keeps for itself. */
export function usesOf({ resources }: Pick<Job, "resources">): string {
  const { used, ...kept } = resources as Record<string, number | undefined> & { used?: Used };
  return used ? measured(used) : reserved(kept);
}

function measured({ cpu_cores: cores, memory_bytes: memory, gpu_percent: gpu, estimated }: Used): string {
  const card = typeof gpu === "number" && gpu > 0 && `GPU ${Math.round(gpu)} %${estimated ? " (estimated)" : ""}`;
  return [`${cores.toFixed(1)} cores`, bytes(memory), card].filter(Boolean).join(" · ");
}

function reserved({ cpu_threads: threads, memory_mb: memory, gpus }: Record<string, number | undefined>): string {
  const parts = [
    threads && `${threads} ${threads === 1 ? "thread" : "threads"}`,
    memory && bytes(memory * 1e6),
    gpus && `${gpus} ${gpus === 1 ? "GPU" : "GPUs"}`,
  ];
  return parts.filter(Boolean).join(" · ");
}
