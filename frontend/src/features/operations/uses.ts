import { bytes } from "@/lib/format/numbers";
import type { Job } from "@/types/api";

/** What a job keeps for itself: `2 threads · 3.1 GB · 1 GPU`. */
export function usesOf({ resources }: Pick<Job, "resources">): string {
  const { cpu_threads: threads, memory_mb: memory, gpus } = resources as Record<string, number | undefined>;
  const parts = [
    threads && `${threads} ${threads === 1 ? "thread" : "threads"}`,
    memory && bytes(memory * 1e6),
    gpus && `${gpus} ${gpus === 1 ? "GPU" : "GPUs"}`,
  ];
  return parts.filter(Boolean).join(" · ");
}
