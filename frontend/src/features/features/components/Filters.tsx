import { Select, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { count } from "@/lib/format/numbers";
import { DENSITIES, type DensityRange, type Look } from "../look";
import classes from "./Features.module.css";

const TYPING_MS = 200;
const RANGES = Object.entries(DENSITIES).map(([value, { title }]) => ({ value, label: title }));
const LABELLED = [
  { value: "true", label: "Labelled" },
  { value: "false", label: "Not labelled" },
];

interface FiltersProps {
  look: Look;
  total: number | null;
  onLook: (changes: Partial<Look>) => void;
}

/** Which features the list shows; how many those are. */
export function Filters({ look, total, onLook }: FiltersProps) {
  const search = useDebouncedCallback((q: string) => onLook({ q: q.trim() || undefined }), TYPING_MS);
  return (
    <div className={classes.filters} role="search">
      <TextInput
        size="xs"
        type="search"
        aria-label="Search"
        placeholder="Token, text, label, number"
        defaultValue={look.q ?? ""}
        onChange={(event) => search(event.currentTarget.value)}
        className={classes.search}
      />
      <Select size="xs" aria-label="Density" placeholder="Any density" clearable data={RANGES} value={look.density ?? null} onChange={(next) => onLook({ density: (next as DensityRange | null) ?? undefined })} />
      <Select
        size="xs"
        aria-label="Labels"
        placeholder="Labelled or not"
        clearable
        data={LABELLED}
        value={look.labelled === undefined ? null : String(look.labelled)}
        onChange={(next) => onLook({ labelled: next === null ? undefined : next === "true" })}
      />
      <span className="figures dim" role="status">
        {total === null ? " " : count(total)}
      </span>
    </div>
  );
}
