import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { CURVE_POINTS } from "@/config/live";
import { MetricStream } from "@/lib/live/jobStreams";
import { useFollowed } from "@/lib/live/useFollowed";
import { type Curve, EMPTY_TAIL, append, join } from "@/lib/series/curve";
import type { Attempt, Job, Layer } from "@/types/api";
import { curves } from "../api/queries";

export interface Curves {
  names: string[];
  layers: Layer[];
  /** Those whose process began, in order. */
  attempts: Attempt[];
  curve: (name: string) => Curve;
  isPending: boolean;
}

/** A job's curves over the whole run: read once by REST, and followed from there without a gap. */
export function useCurves({ id, metrics }: Pick<Job, "id" | "metrics">): Curves {
  const client = useQueryClient();
  // The job itself names its metrics: their places stand before their curves are read.
  const known = Object.keys(metrics ?? {}).join("\n");
  const { data: base, dataUpdatedAt, isPending } = useQuery(curves(id));
  const start = base ? `${id} ${dataUpdatedAt}` : null;
  const { value: tail } = useFollowed(start, () => new MetricStream(id, CURVE_POINTS).after(base!), EMPTY_TAIL, append);

  // A new attempt turns the steps beyond its own start into ghosts, which only the whole reading tells.
  useEffect(() => {
    if (tail.isWhole) void client.invalidateQueries(curves(id));
  }, [client, id, tail.isWhole]);

  return useMemo(() => {
    const names = [...new Set([...(base?.names ?? []), ...Object.keys(tail.curves), ...(known ? known.split("\n") : [])])];
    return { names, layers: base?.layers ?? [], attempts: base?.attempts ?? [], curve: (name) => join(base, tail, name), isPending };
  }, [base, isPending, tail, known]);
}
