import { Select } from "@mantine/core";
import type { WidgetProps } from "@rjsf/utils";
import type { Accepted } from "@/lib/api/upload";
import { bytes } from "@/lib/format/numbers";
import type { Artifact } from "@/types/api";
import { UploadButtons } from "./UploadButtons";
import { useReadyArtifacts } from "./useReadyArtifacts";

/** A ready artifact of the type the field asks for; files from here where it takes uploads. */
export function ArtifactWidget({ id, label, value, required, onChange, options, rawErrors, disabled, readonly }: WidgetProps) {
  const type = String(options.artifactType);
  const accepted = options.upload as Accepted | undefined;
  const isFixed = disabled || readonly;
  const { data = [] } = useReadyArtifacts(type);
  const ready = data.map((artifact) => ({ value: `artifact:${artifact.id}`, label: labelOf(artifact) }));
  // what is given already stays, ready or not: another job may be about to make it
  const choices = !value || ready.some((choice) => choice.value === value) ? ready : [...ready, { value: String(value), label: String(value) }];
  return (
    <>
      <Select
        id={id}
        label={label}
        description={options.description}
        placeholder={choices.length ? `Choose one (${type})` : `Nothing of type ${type} is ready yet`}
        data={choices}
        value={value ?? null}
        onChange={(next) => onChange(next ?? undefined)}
        required={required}
        disabled={isFixed}
        error={rawErrors?.join("\n")}
        searchable
        clearable
      />
      {accepted && !isFixed && <UploadButtons type={type} accepted={accepted} label={label} onDone={(artifact) => onChange(`artifact:${artifact.id}`)} />}
    </>
  );
}

function labelOf({ id, name, bytes: size }: Artifact): string {
  return [name ?? id, size === null ? "" : bytes(size)].filter(Boolean).join(" · ");
}
