import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { Ago } from "@/components/ui/Ago";
import { messageOf } from "@/lib/api/errors";
import type { FeatureLabel, WholeFeature } from "@/types/api";
import { useAskModel, useSetLabel } from "../api/queries";
import classes from "./Features.module.css";

const LONGEST = 200;

interface LabelFieldProps {
  id: string;
  feature: WholeFeature;
  /** The model that may be asked, if there is one. */
  labeller: string | null;
}

/** What the feature is called; written by hand, or by the model when it is asked. */
export function LabelField({ id, feature, labeller }: LabelFieldProps) {
  const { label } = feature;
  // what is being typed; nothing while the field shows what is stored
  const [typed, setTyped] = useState<string | null>(null);
  const save = useSetLabel(id, feature.sae, feature.feature);
  const ask = useAskModel(id, feature.sae, feature.feature);
  const error = save.error ?? ask.error;
  const next = typed?.trim() ?? "";
  const isChanged = typed !== null && next !== (label?.label ?? "");
  const store = () => {
    if (isChanged) save.mutate(next || null);
    setTyped(null);
  };
  return (
    <form
      className={classes.labelField}
      onSubmit={(event) => {
        event.preventDefault();
        store();
      }}
    >
      <TextInput
        size="sm"
        aria-label="Label"
        placeholder="What does it stand for?"
        maxLength={LONGEST}
        value={typed ?? label?.label ?? ""}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && setTyped(null)}
        error={error ? messageOf(error) : undefined}
        className={classes.labelInput}
      />
      <Button type="submit" size="sm" disabled={!isChanged}>
        Save
      </Button>
      {labeller && label?.source !== "hand" && (
        <Button size="sm" variant="default" loading={ask.isPending} title={labeller} onClick={() => ask.mutate()}>
          Ask the model
        </Button>
      )}
      <span className={`dim ${classes.by}`}>{label ? <By label={label} /> : " "}</span>
    </form>
  );
}

function By({ label }: { label: FeatureLabel }) {
  return (
    <>
      {label.source === "model" ? `by ${label.author}` : label.author ? `by hand, ${label.author}` : "by hand"}, <Ago at={label.at} />
    </>
  );
}
