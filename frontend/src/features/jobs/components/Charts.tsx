import { UnstyledButton } from "@mantine/core";
import { useMemo, useState } from "react";
import type { Range } from "@/components/charts/options";
import { Section } from "@/components/ui/Page";
import type { Curve } from "@/lib/series/curve";
import { isFinal } from "@/lib/jobs/states";
import type { Job, Layer } from "@/types/api";
import { type Curves, useCurves } from "../hooks/useCurves";
import { Chart } from "./Chart";
import classes from "./Charts.module.css";
import { rulesOf } from "./attempts";
import { chosen } from "./metricChoice";

const MOST = 6;

/** Up to six metrics as small multiples over one axis of steps. */
export function Charts({ job }: { job: Job }) {
  const curves = useCurves(job);
  const [picked, setPicked] = useState<string[] | null>(null);
  const names = chosen(curves.names, picked, MOST);
  const shown = useShown(curves, names);
  const [zoom, setZoom] = useState<Range | null>(null);
  const rules = useMemo(() => rulesOf(curves.attempts), [curves.attempts]);
  const whole = useMemo(() => rangeOf(shown.map((item) => item.curve)), [shown]);

  return (
    <Section title="Metrics" aside={curves.names.length > MOST && <Choice names={curves.names} picked={names} onPick={setPicked} />}>
      {shown.length === 0 ? (
        <p className="dim">{curves.isPending ? " " : isFinal(job.state) ? "None were logged." : "None yet. They appear with the first step that logs one."}</p>
      ) : (
        <div className={classes.grid} data-count={shown.length}>
          {shown.map((item) => (
            <Chart key={item.name} steps={zoom ?? whole} rules={rules} onZoom={setZoom} {...item} />
          ))}
        </div>
      )}
    </Section>
  );
}

function Choice({ names, picked, onPick }: { names: string[]; picked: string[]; onPick: (names: string[]) => void }) {
  return (
    <div className={classes.choice} role="group" aria-label="Metrics shown">
      {names.map((name) => (
        <UnstyledButton key={name} className={classes.toggle} aria-pressed={picked.includes(name)} onClick={() => onPick(toggled(picked, name))}>
          {name}
        </UnstyledButton>
      ))}
    </div>
  );
}

/** A name more or less; the one picked longest ago makes room. */
function toggled(picked: string[], name: string): string[] {
  return picked.includes(name) ? picked.filter((item) => item !== name) : [...picked, name].slice(-MOST);
}

function useShown(curves: Curves, names: string[]) {
  const list = names.join("\n");
  return useMemo(
    () => (list ? list.split("\n") : []).map((name) => ({ name, curve: curves.curve(name), ghosts: ghostsOf(curves.layers, name) })),
    [curves, list],
  );
}

function ghostsOf(layers: Layer[], name: string): Curve[] {
  return layers.flatMap((layer) => layer.series.filter((series) => series.name === name && series.steps.length > 0));
}

function rangeOf(curves: Curve[]): Range {
  const firsts = curves.map((curve) => curve.steps[0]).filter((step) => step !== undefined);
  const lasts = curves.map((curve) => curve.steps.at(-1)).filter((step) => step !== undefined);
  if (firsts.length === 0) return [0, 1];
  const first = Math.min(...firsts);
  return [first, Math.max(first + 1, ...lasts)];
}
