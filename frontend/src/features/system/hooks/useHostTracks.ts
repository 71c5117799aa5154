import { useInterval } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { HOUR_SECONDS } from "@/config/live";
import { EMPTY_TRACK, type Sample, type Track, addSample, lengthen, trackOf } from "@/lib/hardware/tracks";
import { useSocketUp } from "@/lib/live/connection";
import { useChannel } from "@/lib/live/useChannel";
import type { HostNow, SystemPush } from "@/types/api";
import { current, lastHour } from "../api/queries";

export interface LiveHost {
  now: HostNow;
  track: Track;
}

interface Drawn {
  samples: Sample[];
  /** Unix seconds. */
  at: number;
}

/** Every host with its last hour: read once by REST, lengthened by what is pushed, redrawn every `interval` seconds. */
export function useHostTracks(interval: number) {
  const client = useQueryClient();
  const socketUp = useSocketUp();
  const history = useQuery(lastHour);
  const now = useQuery({ ...current, refetchInterval: socketUp ? false : interval * 1000 });
  const [drawn, setDrawn] = useState<Drawn>(() => ({ samples: [], at: Date.now() / 1000 }));
  const heard = useRef<Sample[]>([]);

  const hear = ({ host, at, gauges }: Pick<SystemPush, "host" | "at" | "gauges">) => {
    heard.current = addSample(heard.current, { host, at: Date.parse(at) / 1000, gauges }, Date.now() / 1000 - HOUR_SECONDS);
  };
  const onSnapshot = () => {
    void client.invalidateQueries(lastHour);
    void client.invalidateQueries(current);
  };
  const onEvent = (push: SystemPush) => hear(push);
  useChannel("system/cpu", { onSnapshot, onEvent });
  useChannel("system/memory", { onEvent });
  useChannel("system/disk", { onEvent });
  useChannel("system/network", { onEvent });
  useInterval(
    () => {
      if (!socketUp) now.data?.items.forEach(hear);
      setDrawn({ samples: heard.current, at: Date.now() / 1000 });
    },
    interval * 1000,
    { autoInvoke: true },
  );

  const hosts = useMemo(() => (now.data?.items ?? []).map((item) => liveHost(item, history.data?.items ?? [], drawn)), [now.data, history.data, drawn]);
  return { hosts, hear, at: drawn.at, error: now.error ?? history.error, isPending: now.isPending || history.isPending, retry: () => void client.invalidateQueries({ queryKey: ["system"] }) };
}

function liveHost(now: HostNow, histories: Parameters<typeof trackOf>[0][], drawn: Drawn): LiveHost {
  const own = drawn.samples.filter((sample) => sample.host === now.host);
  const read = histories.find((item) => item.host === now.host);
  const track = lengthen(read ? trackOf(read) : EMPTY_TRACK, own, drawn.at - HOUR_SECONDS);
  const last = own.at(-1);
  if (!last || last.at * 1000 <= Date.parse(now.at)) return { now, track };
  return { now: { ...now, at: new Date(last.at * 1000).toISOString(), gauges: { ...now.gauges, ...last.gauges } }, track };
}
