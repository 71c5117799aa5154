import { Button, Checkbox } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { JobRow } from "@/components/jobs/JobRow";
import { Ago } from "@/components/ui/Ago";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { metric } from "@/lib/format/numbers";
import { useJobFeed } from "@/lib/jobs/useJobFeed";
import type { Configuration } from "@/types/api";
import { KIND, useConfigurations, useSearches } from "../api/queries";
import { parametersText, percentText } from "../figures";
import { Comparison } from "./Comparison";
import classes from "./Strategy.module.css";

const MOST_PICKED = 8;

interface StrategiesPageProps {
  picked: string[];
  onPick: (ids: string[]) => void;
}

/** Searches that run, what earlier ones saved, and those that are ticked side by side. */
export function StrategiesPage({ picked, onPick }: StrategiesPageProps) {
  useJobFeed();
  const { data, error, refetch } = useConfigurations();
  const searches = useSearches().data ?? [];
  const start = (
    <Button renderRoot={(props) => <Link {...props} to="/submit/$kind" params={{ kind: KIND }} />}>New search</Button>
  );
  const toggle = (id: string) => onPick(picked.includes(id) ? picked.filter((each) => each !== id) : [...picked, id].slice(-MOST_PICKED));
  return (
    <Page title="Strategies" actions={start}>
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {searches.length > 0 && (
        <Section title="Searching">
          {searches.map((job) => (
            <JobRow key={job.id} job={job} />
          ))}
        </Section>
      )}
      {picked.length >= 2 && <Comparison ids={picked} />}
      {data?.items.length === 0 && (
        <Empty title="No configuration saved yet" action={start}>
          A search tries a strategy's parameters over past prices, tests what it found on later ones, and saves it here.
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <Section title="Saved configurations" aside={<span className="dim">Tick two or more to compare</span>}>
          <Table label="Saved configurations" columns={columnsOf(picked, toggle)} items={data.items} keyOf={(item) => item.id} />
        </Section>
      )}
    </Page>
  );
}

function columnsOf(picked: string[], toggle: (id: string) => void): Column<Configuration>[] {
  return [
    {
      key: "pick",
      title: "",
      cell: (item) => <Checkbox size="xs" aria-label={`Compare ${item.name}`} checked={picked.includes(item.id)} onChange={() => toggle(item.id)} />,
    },
    { title: "Name", cell: (item) => <Name item={item} /> },
    { title: "Parameters", cell: (item) => <span className="figures">{parametersText(item.parameters)}</span>, secondary: true },
    { title: "Score", cell: (item) => `${metric(item.score)} ${item.score_name.replace("_", " ")}`, align: "right" },
    { title: "In sample", cell: (item) => percentText(item.in_sample.return_percent), align: "right", secondary: true },
    { title: "Out of sample", cell: (item) => percentText(item.out_of_sample?.return_percent), align: "right" },
    { title: "Kept", cell: (item) => <Kept item={item} />, align: "right" },
    { title: "In use", cell: (item) => (item.active ? "yes" : "–") },
    { title: "Saved", cell: (item) => <Ago at={item.created_at} />, align: "right", secondary: true },
  ];
}

function Name({ item }: { item: Configuration }) {
  return (
    <Link to="/strategies/$id" params={{ id: item.id }} className={classes.name}>
      {item.name}
    </Link>
  );
}

/** What was left of the score out of sample. */
function Kept({ item }: { item: Configuration }) {
  const text = item.ratio === null ? "–" : percentText(item.ratio * 100);
  return item.warning ? (
    <span style={{ color: "var(--warn)" }} title={item.warning}>
      {text}
    </span>
  ) : (
    text
  );
}
