import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { JobRow } from "@/components/jobs/JobRow";
import { Ago } from "@/components/ui/Ago";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { count } from "@/lib/format/numbers";
import { useJobFeed } from "@/lib/jobs/useJobFeed";
import type { Artifact } from "@/types/api";
import { KIND, useRunning, useSessions } from "../api/queries";
import type { SessionCounts } from "../session";
import classes from "./Images.module.css";

const countsOf = (item: Artifact) => item.meta as unknown as SessionCounts;

const COLUMNS: Column<Artifact>[] = [
  {
    title: "Name",
    cell: (item) => (
      <Link to="/images/$id" params={{ id: item.id }} className={classes.name}>
        {item.name || item.id}
      </Link>
    ),
  },
  { title: "Pictures", cell: (item) => count(countsOf(item).embedding.pictures), align: "right" },
  { title: "Broken", cell: (item) => count(countsOf(item).embedding.broken), align: "right", secondary: true },
  { title: "Groups", cell: (item) => count(countsOf(item).clustering.groups), align: "right" },
  { title: "Noise", cell: (item) => count(countsOf(item).clustering.noise), align: "right", secondary: true },
  { title: "Faces", cell: (item) => count(countsOf(item).face_detection.faces), align: "right" },
  { title: "Groups of faces", cell: (item) => count(countsOf(item).clustering.face_groups), align: "right", secondary: true },
  { title: "Made", cell: (item) => <Ago at={item.created_at} />, align: "right", secondary: true },
];

/** Sessions that run, and what earlier ones found. */
export function SessionsPage() {
  useJobFeed();
  const { data, error, refetch } = useSessions();
  const running = useRunning().data ?? [];
  const start = (
    <Button renderRoot={(props) => <Link {...props} to="/submit/$kind" params={{ kind: KIND }} />}>New session</Button>
  );
  return (
    <Page title="Image sessions" actions={start}>
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {running.length > 0 && (
        <Section title="Running">
          {running.map((job) => (
            <JobRow key={job.id} job={job} />
          ))}
        </Section>
      )}
      {data?.items.length === 0 && (
        <Empty title="No pictures indexed yet" action={start}>
          A session turns a folder of pictures into groups of similar ones, and finds the faces on them.
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <Section title="Sessions">
          <Table label="Sessions" columns={COLUMNS} items={data.items} keyOf={(item) => item.id} />
        </Section>
      )}
    </Page>
  );
}
