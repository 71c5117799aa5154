import { SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Ago } from "@/components/ui/Ago";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { api } from "@/lib/api/client";
import { bytes } from "@/lib/format/numbers";
import { usePolling } from "@/lib/live/usePolling";
import type { Artifact, Page as ApiPage } from "@/types/api";

const TYPES = [
  { value: "", label: "All" },
  { value: "model", label: "Models" },
  { value: "dataset", label: "Datasets" },
  { value: "tokens", label: "Tokens" },
  { value: "activations", label: "Activations" },
  { value: "sae", label: "SAEs" },
];

/** The list shows so many, the newest. */
const NEWEST = 500;

const COLUMNS: Column<Artifact>[] = [
  { title: "Name", cell: (item) => <Name artifact={item} /> },
  { title: "Type", cell: (item) => item.type },
  { title: "State", cell: (item) => item.state },
  { title: "Size", cell: (item) => bytes(item.bytes), align: "right" },
  { title: "Host", cell: (item) => item.host ?? "–", secondary: true },
  { title: "Path", cell: (item) => <span className="mono dim">{item.path ?? "–"}</span>, secondary: true },
  { title: "Made", cell: (item) => <Ago at={item.created_at} />, align: "right", secondary: true },
];

/** What jobs have made, and where it lies. */
export function ArtifactsPage({ type, onType }: { type: string; onType: (type: string) => void }) {
  const { data, error, refetch } = useQuery({
    queryKey: ["artifacts", { type }],
    queryFn: ({ signal }) => api<ApiPage<Artifact>>("/artifacts", { query: { type, limit: NEWEST }, signal }),
    refetchInterval: usePolling(),
    placeholderData: (held) => held,
  });
  return (
    <Page title="Artifacts">
      <SegmentedControl size="xs" aria-label="Type" data={TYPES} value={type} onChange={onType} mb={12} />
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data?.items.length === 0 && (
        <Empty title="Nothing here yet">Models, datasets, token sets, activations and SAEs appear here as jobs make them.</Empty>
      )}
      {data && data.items.length > 0 && <Table label="Artifacts" columns={COLUMNS} items={data.items} keyOf={(item) => item.id} />}
    </Page>
  );
}

function Name({ artifact }: { artifact: Artifact }) {
  const name = artifact.name || artifact.id;
  if (!artifact.job_id) return name;
  return (
    <Link to="/jobs/$id" params={{ id: artifact.job_id }} title="The job that made it" style={{ fontWeight: 550 }}>
      {name}
    </Link>
  );
}
