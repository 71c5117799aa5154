import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { LOG_LINES } from "@/config/live";
import { api } from "@/lib/api/client";
import { useChannel } from "@/lib/live/useChannel";
import { usePolling } from "@/lib/live/usePolling";
import { mergeLines } from "@/lib/logs/lines";
import type { LogLine, LogPage, LogsPush } from "@/types/api";

const PAGE_SIZE = 500;
/** The most pages one read takes; the next read goes on from there. */
const MAX_PAGES = 20;

const keyOf = (id: string) => ["logs", id];

/** The end of a job's log: what REST told and what was pushed since the subscription. Lines are numbered: a gap is seen and filled. */
export function useLogs(id: string) {
  const client = useQueryClient();
  const start = useRef(0);
  const [tail, setTail] = useState<LogLine[]>([]);
  const base = useQuery({
    queryKey: keyOf(id),
    queryFn: ({ signal }) => readOn(client, id, start.current, signal),
    refetchInterval: usePolling(),
    structuralSharing: false,
  });

  useChannel<{ next?: number | null } | null, LogsPush>(`jobs/${id}/logs`, {
    onSnapshot: (snapshot) => {
      start.current = Math.max(0, (snapshot?.next ?? 0) - LOG_LINES);
      setTail([]);
      void client.invalidateQueries({ queryKey: keyOf(id) });
    },
    onEvent: ({ items }) => {
      const last = (tail.at(-1) ?? base.data?.at(-1))?.no;
      const isGap = last !== undefined && items[0] !== undefined && items[0].no > last + 1;
      if (isGap) void client.invalidateQueries({ queryKey: keyOf(id) });
      setTail((held) => mergeLines(held, items));
    },
  });

  const lines = useMemo(() => mergeLines(base.data ?? [], tail), [base.data, tail]);
  return { lines, isPending: base.isPending, error: base.error, refetch: base.refetch };
}

/** Reads on from the last line held to the end. */
async function readOn(client: QueryClient, id: string, start: number, signal: AbortSignal): Promise<LogLine[]> {
  let lines = client.getQueryData<LogLine[]>(keyOf(id)) ?? [];
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const after = Math.max(start, lines.at(-1)?.no ?? 0);
    const { items } = await api<LogPage>(`/jobs/${id}/logs`, { query: { after, limit: PAGE_SIZE }, signal });
    lines = mergeLines(lines, items);
    if (items.length < PAGE_SIZE) break;
  }
  return lines;
}
