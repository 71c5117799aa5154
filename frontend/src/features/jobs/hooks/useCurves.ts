import { useThrottledCallback } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { REFRESH_MS } from "@/config/live";
import { useChannel } from "@/lib/live/useChannel";
import { usePolling } from "@/lib/live/usePolling";
import { type Curve, EMPTY_TAIL, append, join } from "@/lib/series/curve";
import type { Attempt, Job, Layer, MetricsPush } from "@/types/api";
import { curves } from "../api/queries";

export interface Curves {
  names: string[];
  layers: Layer[];
  /** Those whose process began, in order. */
  attempts: Attempt[];
  curve: (name: string) => Curve;
  isPending: boolean;
}

/** A job's curves over the whole run: read once by REST, lengthened by what is pushed, read again after a gap. */
export function useCurves({ id, metrics }: Pick<Job, "id" | "metrics">): Curves {
  const client = useQueryClient();
  // The job itself names its metrics: their places stand before their curves are read.
  const known = Object.keys(metrics ?? {}).join("\n");
  const [tail, setTail] = useState(EMPTY_TAIL);
  const base = useQuery({ ...curves(id), refetchInterval: usePolling() });
  const readAgain = () => void client.invalidateQueries(curves(id));
  const readAgainSoon = useThrottledCallback(readAgain, REFRESH_MS);

  useChannel<unknown, MetricsPush>(`jobs/${id}/metrics`, {
    onSnapshot: () => {
      setTail(EMPTY_TAIL);
      readAgain();
    },
    onEvent: (push) => {
      // A new attempt turns the steps beyond its own start into ghosts, which only the server can tell.
      const isNewAttempt = tail.attempt > 0 && push.attempt > tail.attempt;
      if (push.reset || isNewAttempt) readAgainSoon();
      setTail((held) => append(held, push));
    },
  });

  return useMemo(() => {
    const names = [...new Set([...(base.data?.names ?? []), ...Object.keys(tail.curves), ...(known ? known.split("\n") : [])])];
    return { names, layers: base.data?.layers ?? [], attempts: base.data?.attempts ?? [], curve: (name) => join(base.data, tail, name), isPending: base.isPending };
  }, [base.data, base.isPending, tail, known]);
}
