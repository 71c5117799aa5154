import { useThrottledCallback } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { LIVENESS_MS, REFRESH_MS } from "@/config/live";
import { api } from "@/lib/api/client";
import { newestItems, patchItem } from "@/lib/live/newest";
import { useChannel } from "@/lib/live/useChannel";
import { usePolling } from "@/lib/live/usePolling";
import type { Operations, OperationsPush } from "@/types/api";

const KEY = ["operations"];

/** Everything that is under way: read by REST, kept current by what is pushed, read again when a job or a worker comes or goes. */
export function useOperations() {
  const client = useQueryClient();
  const polling = usePolling();
  const refresh = useThrottledCallback(() => void client.invalidateQueries({ queryKey: KEY }), REFRESH_MS);
  useChannel<unknown, OperationsPush>("operations", {
    onSnapshot: refresh,
    onEvent: ({ job }) => {
      if (!job) return refresh();
      const held = client.getQueryData<Operations>(KEY);
      if (held?.active.find((item) => item.id === job.id)?.state !== job.state) refresh();
      client.setQueryData<Operations>(KEY, (data) => data && { ...data, active: [...patchItem(data.active, job)] });
    },
  });
  return useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => api<Operations>("/operations", { signal }),
    refetchInterval: polling || LIVENESS_MS,
    structuralSharing: (held, incoming) => mergeOperations(held as Operations | undefined, incoming as Operations),
  });
}

/** What REST answers takes back nothing that was pushed meanwhile. */
function mergeOperations(held: Operations | undefined, incoming: Operations): Operations {
  return { ...incoming, active: newestItems(held?.active ?? [], incoming.active) };
}
