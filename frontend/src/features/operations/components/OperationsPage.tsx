import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { nameOf } from "@/components/jobs/activity";
import { Empty } from "@/components/ui/Empty";
import { FailedRead } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import type { Job, Operations } from "@/types/api";
import { useOperations } from "../api/queries";
import { earlierFailures, type Groups, groupsOf, hostText } from "../groups";
import { Failures } from "./Failures";
import { Gpus } from "./Gpus";
import { OperationRow } from "./OperationRow";
import { Queues } from "./Queues";

/** Everything that runs, on every host, and what waits to. */
export function OperationsPage() {
  const { data, error, refetch } = useOperations();
  return (
    <Page title="Operations" meta={data && <span className="figures">{summary(groupsOf(data))}</span>}>
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data && <Everything operations={data} />}
    </Page>
  );
}

function Everything({ operations }: { operations: Operations }) {
  const groups = groupsOf(operations);
  const names = new Map(operations.active.map((job) => [job.id, nameOf(job)]));
  const failures = earlierFailures(operations);
  const isQuiet = operations.active.length === 0;
  return (
    <>
      {isQuiet && (
        <Empty title="Nothing runs, nothing waits" action={<Button component={Link} to="/submit">New job</Button>}>
          {operations.hosts.length > 0 ? "The workers are ready. " : "No worker has joined yet: start one with headway worker. "}
          What is started here or in a terminal appears at once, with what it uses.
        </Empty>
      )}
      {groups.hosts.map(({ name, jobs }) => (
        <Section key={name} title={name} aside={<span className="dim figures">{loadOf(operations, name)}</span>}>
          <Jobs jobs={jobs} names={names} none="Idle." />
        </Section>
      ))}
      <Group title="Paused" jobs={groups.paused} names={names} />
      <Group title="In the queue" jobs={groups.queued} names={names} />
      <Group title="Waiting for other jobs" jobs={groups.waiting} names={names} />
      {operations.gpus.length > 0 && (
        <Section title="GPUs">
          <Gpus gpus={operations.gpus} />
        </Section>
      )}
      <Section title="Queues">
        <Queues queues={operations.queues} />
      </Section>
      <Group title="Ended a short while ago" jobs={groups.ended} names={names} />
      {failures.length > 0 && (
        <Section title="Failed within a day">
          <Failures failures={failures} />
        </Section>
      )}
    </>
  );
}

interface JobsProps {
  jobs: Job[];
  names: ReadonlyMap<string, string>;
}

function Group({ title, ...list }: JobsProps & { title: string }) {
  if (list.jobs.length === 0) return null;
  return (
    <Section title={title} aside={<span className="dim figures">{list.jobs.length}</span>}>
      <Jobs {...list} />
    </Section>
  );
}

function Jobs({ jobs, names, none }: JobsProps & { none?: string }) {
  if (jobs.length === 0) return <p className="dim">{none}</p>;
  return jobs.map((job) => <OperationRow key={job.id} job={job} names={names} />);
}

function loadOf({ hosts }: Operations, name: string): string {
  const host = hosts.find((item) => item.name === name);
  return host ? hostText(host) : "";
}

function summary({ hosts, queued, waiting, paused }: Groups): string {
  const running = hosts.reduce((sum, host) => sum + host.jobs.length, 0);
  const parts: [number, string][] = [[running, "running"], [paused.length, "paused"], [queued.length, "queued"], [waiting.length, "waiting"]];
  return parts.filter(([number], i) => i === 0 || number > 0).map(([number, word]) => `${number} ${word}`).join(" · ");
}
