import { useQuery } from "@tanstack/react-query";
import { api } from "@/lib/api/client";
import type { Kind } from "@/types/api";

/** What can be run here, with the schema of each kind's config. */
export function useKinds() {
  return useQuery({ queryKey: ["kinds"], queryFn: ({ signal }) => api<{ items: Kind[] }>("/kinds", { signal }), staleTime: 60_000 });
}
