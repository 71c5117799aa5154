import { Slider } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { DensityBars } from "@/components/charts/DensityBars";
import { Section } from "@/components/ui/Page";
import { count, share } from "@/lib/format/numbers";
import type { Job } from "@/types/api";
import { checkpoints } from "../api/queries";
import { type Firing, firingOf } from "../firing";
import classes from "./FeaturesAtCheckpoints.module.css";

/** What the features of SAEs in training do at each checkpoint: the newest one, unless the reader goes back. */
export function FeaturesAtCheckpoints({ job }: { job: Job }) {
  const { data } = useQuery(checkpoints(job.id));
  const [chosen, setChosen] = useState<number | null>(null);
  const told = (data?.items ?? [])
    .map(({ step, metrics }) => ({ step, firing: firingOf(metrics) }))
    .filter(({ firing }) => firing.length > 0)
    .sort((a, b) => a.step - b.step);
  const at = told.findIndex(({ step }) => step === chosen);
  const place = at < 0 ? told.length - 1 : at;
  const shown = told[place];
  if (!shown) return null;
  return (
    <Section title="Features at checkpoints" aside={<span className="figures dim">step {count(shown.step)}</span>}>
      {told.length > 1 && (
        <Slider
          className={classes.slider}
          size="xs"
          label={null}
          thumbLabel="Checkpoint"
          min={0}
          max={told.length - 1}
          value={place}
          onChange={(next) => setChosen(next === told.length - 1 ? null : told[next]!.step)}
        />
      )}
      <div className={classes.grid}>
        {shown.firing.map((firing) => (
          <OfSae key={firing.sae} firing={firing} />
        ))}
      </div>
    </Section>
  );
}

function OfSae({ firing: { sae, alive, features, denseFraction, densities } }: { firing: Firing }) {
  return (
    <section data-testid="firing">
      <div className={classes.caption}>
        <span className={classes.name}>{sae || "Firing densities"}</span>
        <span className="figures dim">
          {count(alive)} of {count(features)} alive · {share(denseFraction)} dense
        </span>
      </div>
      <DensityBars label={`Firing densities of ${sae || "the SAE"}`} densities={densities} />
    </section>
  );
}
