import { useQuery } from "@tanstack/react-query";
import { Ago } from "@/components/ui/Ago";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { api } from "@/lib/api/client";
import { bytes } from "@/lib/format/numbers";
import type { Host } from "@/types/api";

/** Hosts tell of themselves every few seconds; nothing pushes that yet, so the page asks. */
const ASK_MS = 5_000;

const COLUMNS: Column<Host>[] = [
  { title: "Host", cell: (host) => <strong>{host.name}</strong> },
  { title: "CPUs", cell: (host) => host.cpus, align: "right" },
  { title: "Memory", cell: (host) => bytes(host.memory_mb * 1e6), align: "right" },
  { title: "GPUs", cell: (host) => host.gpus.length, align: "right", secondary: true },
  { title: "Workers", cell: (host) => host.workers.length, align: "right", secondary: true },
  { title: "Slots", cell: (host) => Object.entries(host.slots).map(([queue, n]) => `${queue} ${n}`).join(", ") },
  { title: "Seen", cell: (host) => <Ago at={host.last_seen_at} />, align: "right" },
];

/** The machines that run jobs. */
export function SystemPage() {
  const { data, error, refetch } = useQuery({
    queryKey: ["hosts"],
    queryFn: ({ signal }) => api<{ items: Host[] }>("/system/hosts", { signal }),
    refetchInterval: ASK_MS,
  });
  return (
    <Page title="System">
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data?.items.length === 0 && (
        <Empty title="No worker has reported yet">
          Start one with <code className="mono">headway up</code>, or join this installation from another machine with <code className="mono">headway worker</code>.
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <Section title="Hosts">
          <Table label="Hosts" columns={COLUMNS} items={data.items} keyOf={(host) => host.name} />
        </Section>
      )}
    </Page>
  );
}
