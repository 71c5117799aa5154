import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Definitions, jsonRows } from "@/components/ui/Definitions";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { Ago } from "@/components/ui/Ago";
import { bytes, count, metric, share } from "@/lib/format/numbers";
import type { Artifact, JsonObject } from "@/types/api";
import { useArtifact, useArtifacts, useMaker } from "../api/queries";
import { type SaeFigures, saeMeta } from "../meta";
import { EvaluationSection } from "./EvaluationSection";
import { Name } from "./Name";

const percent = (value: number | undefined) => (value === undefined ? "–" : share(value));

const COLUMNS: Column<SaeFigures>[] = [
  { title: "SAE", cell: (sae) => <span className="mono">{sae.folder}</span> },
  { title: "Architecture", cell: (sae) => sae.architecture, secondary: true },
  { title: "Features", cell: (sae) => count(sae.d_sae), align: "right" },
  { title: "k or coefficient", cell: (sae) => sae.k ?? metric(sae.coefficient), align: "right", secondary: true },
  { title: "Seed", cell: (sae) => sae.seed ?? "–", align: "right", secondary: true },
  { title: "FVU", cell: (sae) => metric(sae.fvu), align: "right" },
  { title: "L0", cell: (sae) => metric(sae.l0), align: "right" },
  { title: "Cosine", cell: (sae) => metric(sae.cosine), align: "right", secondary: true },
  { title: "Dead", cell: (sae) => percent(sae.dead_fraction), align: "right", secondary: true },
  { title: "Dense", cell: (sae) => percent(sae.dense_fraction), align: "right", secondary: true },
];

/** Some SAEs of one training: figures side by side, evaluations, features, and how they were trained. */
export function SaePage({ id }: { id: string }) {
  const { data: artifact, error, refetch } = useArtifact(id);
  const made = useArtifacts({ made_from: id }).data?.items.filter((item) => item.state === "ready") ?? [];
  const job = useMaker(artifact?.job_id).data;
  if (error && !artifact) {
    return (
      <Page title="SAE">
        <FailedRead error={error} retry={() => void refetch()} />
      </Page>
    );
  }
  if (!artifact) return <Page title=" "> </Page>;
  return (
    <Page title={artifact.name || id} tab={artifact.name} meta={<Facts artifact={artifact} />} actions={<Actions artifact={artifact} />}>
      <Section title="SAEs">
        <Table label="SAEs" columns={COLUMNS} items={saeMeta(artifact).saes ?? []} keyOf={(sae) => sae.folder} />
      </Section>
      <Indexes items={made.filter((item) => item.type === "feature_index")} />
      <EvaluationSection items={made.filter((item) => item.type === "evaluation")} />
      {job && (
        <Section title="Settings">
          <Definitions rows={jsonRows(job.config as JsonObject)} />
        </Section>
      )}
    </Page>
  );
}

function Facts({ artifact }: { artifact: Artifact }) {
  const { d_in: width, rows } = saeMeta(artifact);
  return (
    <>
      {width !== undefined && <span>{width} wide</span>}
      {rows !== undefined && <span>{count(rows)} rows</span>}
      <span>{bytes(artifact.bytes)}</span>
      <span className="mono dim">{artifact.id}</span>
    </>
  );
}

function Actions({ artifact: { job_id: job } }: { artifact: Artifact }) {
  return (
    <>
      {job && (
        <Button variant="default" renderRoot={(props) => <Link {...props} to="/jobs/$id" params={{ id: job }} />}>
          Training
        </Button>
      )}
      <Button variant="default" renderRoot={(props) => <Link {...props} to="/submit/$kind" params={{ kind: "sae.evaluate" }} />}>
        Evaluate
      </Button>
      <Button renderRoot={(props) => <Link {...props} to="/submit/$kind" params={{ kind: "features.index" }} />}>Index features</Button>
    </>
  );
}

const INDEX_COLUMNS: Column<Artifact>[] = [
  { title: "Index", cell: (item) => <Name artifact={item} /> },
  { title: "Text", cell: (item) => String((item.meta as JsonObject).dataset ?? "–"), secondary: true },
  { title: "Tokens", cell: (item) => count(Number((item.meta as JsonObject).tokens ?? 0)), align: "right" },
  { title: "Made", cell: (item) => <Ago at={item.created_at} />, align: "right" },
];

function Indexes({ items }: { items: Artifact[] }) {
  return (
    <Section title="Features">
      {items.length === 0 ? <p className="dim">Not indexed yet.</p> : <Table label="Feature indexes" columns={INDEX_COLUMNS} items={items} keyOf={(item) => item.id} />}
    </Section>
  );
}
