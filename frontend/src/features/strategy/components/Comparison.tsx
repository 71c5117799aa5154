import { FailedRead } from "@/components/ui/Notice";
import { Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { metric } from "@/lib/format/numbers";
import type { WholeConfiguration } from "@/types/api";
import { useComparedConfigurations } from "../api/queries";
import { FIGURES, parametersText } from "../figures";
import { LinesChart, dayText } from "./LinesChart";

interface Row {
  name: string;
  cells: string[];
}

/** Configurations side by side: what was traded out of sample, their figures, what of their configs differs. */
export function Comparison({ ids }: { ids: string[] }) {
  const { data, error, refetch } = useComparedConfigurations(ids);
  if (error && !data) return <FailedRead error={error} retry={() => void refetch()} />;
  if (!data) return null;
  const { items, differing } = data;
  const titles = items.map((item, i) => `${i + 1} ${item.name}`);
  const lines = items.map((item, i) => {
    const curve = item.results.curves.walk_forward ?? item.results.curves.out_of_sample ?? item.results.curves.in_sample!;
    return { title: titles[i]!, colour: `--series-${i + 1}`, x: curve.times, values: curve.values };
  });
  const columns: Column<Row>[] = [
    { key: "what", title: "", cell: (row) => <span className="dim">{row.name}</span> },
    ...items.map((item, i) => ({ key: item.id, title: titles[i], cell: (row: Row) => row.cells[i], align: "right" as const })),
  ];
  return (
    <Section title="Side by side">
      <LinesChart name="Equity out of sample" lines={lines} placeText={dayText} />
      <Table label="Configurations side by side" columns={columns} items={rowsOf(items, differing)} keyOf={(row) => row.name} />
    </Section>
  );
}

function rowsOf(items: WholeConfiguration[], differing: string[]): Row[] {
  const row = (name: string, cell: (item: WholeConfiguration) => string): Row => ({ name, cells: items.map(cell) });
  return [
    row("Parameters", (item) => parametersText(item.parameters)),
    row("Score", (item) => `${metric(item.score)} ${item.score_name}`),
    ...FIGURES.map(({ name, title, text }) => row(`${title}, in sample`, (item) => text(item.in_sample[name]))),
    ...FIGURES.map(({ name, title, text }) => row(`${title}, out of sample`, (item) => text(item.out_of_sample?.[name]))),
    ...differing.map((name) => row(name, (item) => JSON.stringify(item.config[name] ?? null))),
  ];
}
