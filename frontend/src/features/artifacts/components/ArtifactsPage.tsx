import { SegmentedControl } from "@mantine/core";
import { Ago } from "@/components/ui/Ago";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { bytes } from "@/lib/format/numbers";
import type { Artifact } from "@/types/api";
import { useArtifacts } from "../api/queries";
import classes from "./Artifacts.module.css";
import { DeleteArtifact } from "./DeleteArtifact";
import { Name } from "./Name";

const TYPES = [
  { value: "", label: "All" },
  { value: "model", label: "Models" },
  { value: "dataset", label: "Datasets" },
  { value: "tokens", label: "Tokens" },
  { value: "activations", label: "Activations" },
  { value: "sae", label: "SAEs" },
  { value: "feature_index", label: "Features" },
  { value: "evaluation", label: "Evaluations" },
];

const COLUMNS: Column<Artifact>[] = [
  { title: "Name", cell: (item) => <Name artifact={item} /> },
  { title: "Type", cell: (item) => item.type, secondary: true },
  { title: "State", cell: (item) => item.state },
  { title: "Size", cell: (item) => bytes(item.bytes), align: "right" },
  { title: "Host", cell: (item) => item.host ?? "–", secondary: true },
  { title: "Path", cell: (item) => <span className="mono dim">{item.path ?? "–"}</span>, secondary: true },
  { title: "Made", cell: (item) => <Ago at={item.created_at} />, align: "right", secondary: true },
  { title: "", key: "delete", cell: (item) => <DeleteArtifact artifact={item} />, align: "right", secondary: true },
];

/** What jobs have made, and where it lies. */
export function ArtifactsPage({ type, onType }: { type: string; onType: (type: string) => void }) {
  const { data, error, refetch } = useArtifacts({ type });
  return (
    <Page title="Artifacts">
      <div className={classes.types}>
        <SegmentedControl size="xs" aria-label="Type" data={TYPES} value={type} onChange={onType} />
      </div>
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data?.items.length === 0 && (
        <Empty title="Nothing here yet">Models, datasets, token sets, activations and SAEs appear here as jobs make them, and so do files that were uploaded.</Empty>
      )}
      {data && data.items.length > 0 && <Table label="Artifacts" columns={COLUMNS} items={data.items} keyOf={(item) => item.id} />}
    </Page>
  );
}
