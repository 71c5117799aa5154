import { Button } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { Definitions, jsonRows } from "@/components/ui/Definitions";
import { FailedRead, Notice } from "@/components/ui/Notice";
import { Page, Section } from "@/components/ui/Page";
import { type Column, Table } from "@/components/ui/Table";
import { messageOf } from "@/lib/api/errors";
import { count, metric } from "@/lib/format/numbers";
import type { TestedWindow, WholeConfiguration } from "@/types/api";
import { useActivate, useConfiguration, useRerun, useSearchHistory } from "../api/queries";
import { FIGURES, PARTS, parametersText, percentText } from "../figures";
import { LinesChart, dayText } from "./LinesChart";
import classes from "./Strategy.module.css";

/** One saved configuration: how it did, how it was found, and what can be done with it. */
export function ConfigurationPage({ id }: { id: string }) {
  const { data, error, refetch } = useConfiguration(id);
  if (error && !data) return <FailedRead error={error} retry={() => void refetch()} />;
  if (!data) return null;
  return (
    <Page title={data.name} meta={data.active ? "in use" : "not in use"} actions={<Actions saved={data} />}>
      {data.warning && <p className={classes.warning}>{data.warning}</p>}
      <Charts saved={data} />
      <Section title="Figures">
        <Figures saved={data} />
      </Section>
      {data.results.walk_forward && (
        <Section title="Walk-forward">
          <Table label="Windows" columns={WINDOWS} items={data.results.walk_forward.windows} keyOf={(item) => item.test_from} />
        </Section>
      )}
      <Section title="Found with">
        <Definitions rows={[...factsOf(data), ...jsonRows(data.config)]} />
      </Section>
    </Page>
  );
}

function Actions({ saved }: { saved: WholeConfiguration }) {
  const navigate = useNavigate();
  const activate = useActivate(saved.id);
  const rerun = useRerun(saved.id);
  const error = activate.error ?? rerun.error;
  const again = () => rerun.mutate(undefined, { onSuccess: (job) => void navigate({ to: "/jobs/$id", params: { id: job.id } }) });
  return (
    <>
      <Button variant="default" loading={activate.isPending} onClick={() => activate.mutate(!saved.active)}>
        {saved.active ? "Deactivate" : "Activate"}
      </Button>
      <Button variant="default" component="a" href={`/api/v1/configurations/${saved.id}/export`} download>
        Export
      </Button>
      <Button loading={rerun.isPending} onClick={again}>
        Run again
      </Button>
      {error && <Notice title="That did not work">{messageOf(error)}</Notice>}
    </>
  );
}

function Charts({ saved }: { saved: WholeConfiguration }) {
  const history = useSearchHistory(saved.job_id).data;
  const equity = useMemo(
    () =>
      PARTS.flatMap(({ name, title, colour }) => {
        const curve = saved.results.curves[name];
        return curve ? [{ title, colour, x: curve.times, values: curve.values }] : [];
      }),
    [saved],
  );
  const search = useMemo(() => {
    const series = (name: string) => history?.series.find((each) => each.name === name);
    const line = (name: string, title: string, colour: string) => ({ title, colour, x: series(name)?.steps ?? [], values: series(name)?.values ?? [] });
    return [line("score", "Score", "--fg-3"), line("best_score", "Best", "--accent")];
  }, [history]);
  return (
    <div className={classes.charts}>
      <LinesChart name="Equity" lines={equity} placeText={dayText} />
      {saved.job_id && <LinesChart name="Search by episode" lines={search} placeText={count} />}
    </div>
  );
}

function Figures({ saved }: { saved: WholeConfiguration }) {
  const parts = PARTS.filter(({ name }) => saved.results.curves[name]);
  const columns: Column<(typeof FIGURES)[number]>[] = [
    { key: "what", title: "", cell: (figure) => <span className="dim">{figure.title}</span> },
    ...parts.map(({ name, title }) => ({
      title,
      cell: (figure: (typeof FIGURES)[number]) => figure.text((saved.results[name as "in_sample"] as Record<string, number | null>)[figure.name]),
      align: "right" as const,
    })),
  ];
  return <Table label="Figures" columns={columns} items={FIGURES} keyOf={(figure) => figure.name} />;
}

const WINDOWS: Column<TestedWindow>[] = [
  { title: "Searched from", cell: (item) => day(item.train_from), secondary: true },
  { title: "Tested", cell: (item) => `${day(item.test_from)} to ${day(item.test_to)}` },
  { title: "Parameters", cell: (item) => parametersText(item.parameters), secondary: true },
  { title: "In sample", cell: (item) => metric(item.in_sample), align: "right" },
  { title: "Out of sample", cell: (item) => metric(item.out_of_sample), align: "right" },
  { title: "Return", cell: (item) => percentText(item.return_percent), align: "right" },
  { title: "Trades", cell: (item) => count(item.trades), align: "right", secondary: true },
];

const day = (time: string): string => dayText(Date.parse(time) / 1000);

function factsOf(saved: WholeConfiguration): [string, React.ReactNode][] {
  const { results } = saved;
  const job = saved.job_id && (
    <Link to="/jobs/$id" params={{ id: saved.job_id }}>
      {saved.job_id}
    </Link>
  );
  return [
    ["Parameters", parametersText(saved.parameters)],
    ["Score", `${metric(saved.score)} ${saved.score_name}`],
    ["Kept out of sample", saved.ratio === null ? "–" : saved.ratio < 0 ? "nothing: the score is below zero" : percentText(saved.ratio * 100)],
    ["Job", job ?? "–"],
    ["Prices", `${saved.market}: ${count(results.candles)} candles, ${day(results.from)} to ${day(results.to)}, held out from ${day(results.split)}`],
  ];
}
