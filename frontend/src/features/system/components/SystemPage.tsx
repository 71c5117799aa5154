import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { current, hosts } from "../api/queries";
import { INTERVALS, useRedrawInterval } from "../hooks/useInterval";
import { useHostTracks } from "../hooks/useHostTracks";
import { HostSection } from "./HostSection";

const FEWEST_SECONDS = 2;
/** What a host is made of changes rarely; its workers come and go. */
const HOSTS_MS = 10_000;

/** The machines that run jobs, live, with their last hour. */
export function SystemPage() {
  const { data: measured } = useQuery(current);
  const every = measured?.interval_seconds ?? FEWEST_SECONDS;
  const { interval, choose } = useRedrawInterval(every);
  const { hosts: live, hear, at, error, isPending, retry } = useHostTracks(interval);
  const { data: known } = useQuery({ ...hosts, refetchInterval: HOSTS_MS });
  const hostOf = (name: string) => known?.items.find((host) => host.name === name);
  return (
    <Page
      title="System"
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Redraw every"
          data={INTERVALS.map((seconds) => ({ value: String(seconds), label: `${seconds} s`, disabled: seconds < every }))}
          value={String(interval)}
          onChange={(value) => choose(Number(value))}
        />
      }
    >
      {error && live.length === 0 && <FailedRead error={error} retry={retry} />}
      {!isPending && !error && live.length === 0 && (
        <Empty title="No machine was measured within the last hour">
          Start one with <code className="mono">headway up</code>, or join this installation from another machine with <code className="mono">headway worker</code>.
        </Empty>
      )}
      {live.map((item) => (
        <HostSection key={item.now.host} live={item} host={hostOf(item.now.host)} at={at} interval={every} hear={hear} />
      ))}
    </Page>
  );
}
