import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ownPage } from "@/components/jobs/ownPage";
import { Definitions, jsonRows } from "@/components/ui/Definitions";
import { Section } from "@/components/ui/Page";
import { bytes } from "@/lib/format/numbers";
import type { Artifact, Job } from "@/types/api";
import { resultsOf } from "../api/queries";
import { type Sample, told } from "../results";
import classes from "./Results.module.css";

function useResults(job: Job): Artifact[] {
  const { data } = useQuery({ ...resultsOf(job.id), enabled: job.state === "completed" });
  return (job.state === "completed" && data?.items.filter((item) => item.state === "ready")) || [];
}

/** To the pages of what the job made. */
export function OpenResults({ job }: { job: Job }) {
  return useResults(job).map((item) => {
    const page = ownPage(item);
    return (
      page && (
        <Button key={item.id} renderRoot={(props) => <Link {...props} to={page} params={{ id: item.id }} />}>
          Open result
        </Button>
      )
    );
  });
}

/** What the job made, and what it tells of it; what has a page of its own is told there. */
export function Results({ job }: { job: Job }) {
  const shown = useResults(job).filter((item) => !ownPage(item));
  return shown.map((item) => <Result key={item.id} item={item} />);
}

function Result({ item }: { item: Artifact }) {
  const { facts, samples } = told(item);
  const aside = (
    <span className="dim">
      {item.type}, {bytes(item.bytes)} <span className="mono">{item.id}</span>
    </span>
  );
  return (
    <Section title="Result" aside={aside}>
      <div className={classes.columns}>
        <Definitions rows={jsonRows(facts)} />
        {samples.length > 0 && (
          <ul className={classes.samples} aria-label="Samples">
            {samples.map((sample, place) => (
              <Texts key={place} sample={sample} />
            ))}
          </ul>
        )}
      </div>
    </Section>
  );
}

function Texts({ sample }: { sample: Sample }) {
  return (
    <li className={classes.sample}>
      <dl>
        {Object.entries(sample).map(([name, text]) => (
          <div key={name} className={classes.text}>
            <dt>{name}</dt>
            <dd>{text.trim()}</dd>
          </div>
        ))}
      </dl>
    </li>
  );
}
