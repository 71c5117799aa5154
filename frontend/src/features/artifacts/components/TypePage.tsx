import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Ago } from "@/components/ui/Ago";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { bytes } from "@/lib/format/numbers";
import type { Artifact } from "@/types/api";
import { useArtifacts } from "../api/queries";
import { Name } from "./Name";
import { PAGES, type PageName, type Part } from "./types";

const FIRST: Column<Artifact>[] = [{ title: "Name", cell: (item) => <Name artifact={item} /> }];
const LAST: Column<Artifact>[] = [
  { title: "State", cell: (item) => item.state },
  { title: "Size", cell: (item) => bytes(item.bytes), align: "right" },
  { title: "Made", cell: (item) => <Ago at={item.created_at} />, align: "right", secondary: true },
];

/** What there is of a type, with what tells one from another. */
export function TypePage({ name }: { name: PageName }) {
  const { title, kind, parts } = PAGES[name];
  const start = <Button renderRoot={(props) => <Link {...props} to="/submit/$kind" params={{ kind: kind.name }} />}>{kind.verb}</Button>;
  return (
    <Page title={title} actions={start}>
      {parts.map((part) => (
        <List key={part.type} part={part} />
      ))}
    </Page>
  );
}

function List({ part }: { part: Part }) {
  const { data, error, refetch } = useArtifacts({ type: part.type });
  const table = data && data.items.length > 0 && <Table label={part.title} columns={[...FIRST, ...part.columns, ...LAST]} items={data.items} keyOf={(item) => item.id} />;
  return (
    <Section title={part.title}>
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data?.items.length === 0 && <Empty title="Nothing here yet">{part.empty}</Empty>}
      {table}
    </Section>
  );
}
