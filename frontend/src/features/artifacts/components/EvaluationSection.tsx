import { DensityBars } from "@/components/charts/DensityBars";
import { FailedRead } from "@/components/ui/Notice";
import { Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { count, metric, share } from "@/lib/format/numbers";
import type { Artifact } from "@/types/api";
import { useEvaluations } from "../api/queries";
import type { EvaluatedSae, Evaluation } from "../meta";
import classes from "./Artifacts.module.css";
import { Tradeoff } from "./Tradeoff";

const COLUMNS: Column<EvaluatedSae>[] = [
  { title: "SAE", cell: (sae) => <span className="mono">{sae.sae}</span> },
  { title: "L0", cell: (sae) => metric(sae.l0), align: "right" },
  { title: "Explained variance", cell: (sae) => metric(sae.explained_variance), align: "right" },
  { title: "Cosine", cell: (sae) => metric(sae.cosine), align: "right", secondary: true },
  { title: "Loss recovered", cell: (sae) => metric(sae.ce_recovered), align: "right" },
  { title: "Loss", cell: (sae) => (sae.ce_sae === null ? "–" : `${metric(sae.ce_sae)} of ${metric(sae.ce_clean)}`), align: "right", secondary: true },
  { title: "KL", cell: (sae) => metric(sae.kl_sae), align: "right", secondary: true },
  { title: "Dead", cell: (sae) => share(sae.dead_fraction), align: "right", secondary: true },
  { title: "Dense", cell: (sae) => share(sae.dense_fraction), align: "right", secondary: true },
];

/** What evaluations measured, SAE beside SAE, and how densely each one's features fire. */
export function EvaluationSection({ items }: { items: Artifact[] }) {
  const files = useEvaluations(items.map((item) => item.id));
  return (
    <Section title="Evaluations">
      {items.length === 0 && <p className="dim">Not evaluated yet.</p>}
      {files.map(({ data, error, refetch }, i) => (
        <div key={items[i]!.id} className={classes.evaluation}>
          {error && <FailedRead error={error} retry={() => void refetch()} />}
          {data && <Measured evaluation={data} />}
        </div>
      ))}
    </Section>
  );
}

function Measured({ evaluation }: { evaluation: Evaluation }) {
  const { dataset, tokens, no_predictions: lack, saes } = evaluation;
  return (
    <>
      <p className={`dim ${classes.note}`}>
        On {count(tokens)} tokens of {dataset ?? "a text"}.{lack && ` No loss was measured: ${lack}.`}
      </p>
      <Table label="Evaluation" columns={COLUMNS} items={saes} keyOf={(sae) => sae.sae} />
      {saes.length > 1 && <Tradeoff saes={saes} />}
      <div className={classes.densities}>
        {saes.map((sae) => (
          <section key={sae.sae}>
            <h3>
              {sae.sae}: firing densities{sae.densities.never > 0 && `, ${count(sae.densities.never)} never`}
            </h3>
            <DensityBars label={`Firing densities of ${sae.sae}`} densities={sae.densities} />
          </section>
        ))}
      </div>
    </>
  );
}
