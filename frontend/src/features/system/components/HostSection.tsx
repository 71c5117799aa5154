import { useMemo } from "react";
import { HardwareCharts } from "@/components/hardware/HardwareCharts";
import { hostCharts } from "@/components/hardware/hostCharts";
import { Ago } from "@/components/ui/Ago";
import { Section } from "@/components/ui/Page";
import { HOUR_SECONDS } from "@/config/live";
import { bytes } from "@/lib/format/numbers";
import { useChannel } from "@/lib/live/useChannel";
import type { GpuFacts, Host, SystemPush } from "@/types/api";
import type { LiveHost } from "../hooks/useHostTracks";
import { Cores } from "./Cores";
import classes from "./HostSection.module.css";
import { Mounts } from "./Mounts";

interface HostSectionProps {
  live: LiveHost;
  host: Host | undefined;
  /** The right end of the charts, in Unix seconds. */
  at: number;
  interval: number;
  hear: (push: SystemPush) => void;
}

/** One machine: what it is, its last hour, its cores and disks now. */
export function HostSection({ live, host, at, interval, hear }: HostSectionProps) {
  const { now, track } = live;
  const charts = useMemo(() => hostCharts(track), [track]);
  const gpus = now.gpu_report.gpus as unknown as GpuFacts[];
  const load = ["1min", "5min", "15min"].map((name) => now.gauges[`cpu.load_${name}`]?.toFixed(2) ?? "–").join("  ");
  return (
    <Section
      title={now.host}
      aside={
        <div className={`figures ${classes.facts}`}>
          {host && <span>{`${host.cpus} ${host.cpus === 1 ? "core" : "cores"}`}</span>}
          <span>{bytes(now.gauges["memory.total_bytes"])}</span>
          <span>{gpuText(now.gpu_report)}</span>
          {host && <span>{`${host.workers.length} ${host.workers.length === 1 ? "worker" : "workers"}`}</span>}
          <span>
            load <span className={classes.load}>{load}</span>
          </span>
          <Ago at={now.at} />
        </div>
      }
    >
      {gpus.map((gpu) => (
        <GpuFeed key={gpu.index} channel={`system/gpu/${now.host}:${gpu.index}`} hear={hear} />
      ))}
      <HardwareCharts times={track.times} charts={charts} range={[at - HOUR_SECONDS, at]} interval={interval} sync="system" />
      <div className={classes.below}>
        <Cores gauges={now.gauges} />
        <Mounts gauges={now.gauges} />
      </div>
      {gpus.map((gpu) => (
        <p key={gpu.index} className={classes.gpu}>
          <strong>{`GPU ${gpu.index}`}</strong> {gpu.name} {gpu.throttle_reasons?.length ? <span className={classes.held}>{`held back: ${gpu.throttle_reasons.join(", ")}`}</span> : null}{" "}
          <span className="dim">{`${gpu.processes.length} ${gpu.processes.length === 1 ? "process" : "processes"}`}</span>
        </p>
      ))}
    </Section>
  );
}

function gpuText({ state, reason, gpus }: LiveHost["now"]["gpu_report"]): string {
  if (state === "none") return "no GPU";
  if (state === "unknown") return `GPUs unknown: ${reason ?? "no answer"}`;
  return `${gpus.length} ${gpus.length === 1 ? "GPU" : "GPUs"}`;
}

/** Hears one GPU; each has a channel of its own. */
function GpuFeed({ channel, hear }: { channel: string; hear: (push: SystemPush) => void }) {
  useChannel<unknown, SystemPush>(channel, { onEvent: hear });
  return null;
}
