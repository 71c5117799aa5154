import { SegmentedControl, Select, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useState } from "react";
import type { JobFilter } from "../api/queries";
import classes from "./JobsPage.module.css";

const STATES = [
  { value: "", label: "All" },
  { value: "active", label: "Active" },
  { value: "waiting", label: "Waiting" },
  { value: "completed", label: "Completed" },
  { value: "failed", label: "Failed" },
];
const TYPING_MS = 250;

interface FiltersProps {
  filter: JobFilter;
  kinds: string[];
  onFilter: (filter: JobFilter) => void;
}

export function Filters({ filter, kinds, onFilter }: FiltersProps) {
  const [text, setText] = useState(filter.q ?? "");
  const [told, setTold] = useState(filter.q);
  if (told !== filter.q) {
    // The address changed by itself (the filter was cleared, the reader went back): the box follows.
    setTold(filter.q);
    setText(filter.q ?? "");
  }
  const search = useDebouncedCallback((q: string) => onFilter({ ...filter, q: q || undefined }), TYPING_MS);
  const type = (q: string) => {
    setText(q);
    search(q);
  };
  return (
    <search className={classes.filters}>
      <SegmentedControl
        className={classes.states}
        size="xs"
        aria-label="State"
        data={STATES}
        value={filter.state ?? ""}
        onChange={(state) => onFilter({ ...filter, state: state || undefined })}
      />
      <Select
        className={classes.kind}
        size="xs"
        aria-label="Kind"
        placeholder="All kinds"
        data={kinds}
        value={filter.kind ?? null}
        clearable
        onChange={(kind) => onFilter({ ...filter, kind: kind ?? undefined })}
      />
      <TextInput
        className={classes.search}
        size="xs"
        type="search"
        aria-label="Search"
        placeholder="Search by name, tag or id"
        value={text}
        onChange={(event) => type(event.currentTarget.value)}
      />
    </search>
  );
}
