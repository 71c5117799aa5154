import { Chip, Group } from "@mantine/core";
import { useMemo, useState } from "react";
import { Section } from "@/components/ui/Page";
import type { Curve } from "@/lib/series/curve";
import type { Layer } from "@/types/api";
import { type Curves, useCurves } from "../hooks/useCurves";
import { Chart } from "./Chart";
import classes from "./Charts.module.css";
import { chosen } from "./metricChoice";

const MOST = 6;

/** Up to six metrics as small multiples over one axis of steps. */
export function Charts({ jobId }: { jobId: string }) {
  const curves = useCurves(jobId);
  const [picked, setPicked] = useState<string[] | null>(null);
  const names = chosen(curves.names, picked, MOST);
  const shown = useShown(curves, names);
  const range = useMemo(() => rangeOf(shown.map((item) => item.curve)), [shown]);

  return (
    <Section title="Metrics" aside={curves.names.length > MOST && <Choice names={curves.names} picked={names} onPick={setPicked} />}>
      {shown.length === 0 ? (
        <p className={classes.none}>{curves.isPending ? "" : "No metrics yet. They appear with the first step that logs one."}</p>
      ) : (
        <div className={classes.grid}>
          {shown.map((item) => (
            <Chart key={item.name} range={range} {...item} />
          ))}
        </div>
      )}
    </Section>
  );
}

function Choice({ names, picked, onPick }: { names: string[]; picked: string[]; onPick: (names: string[]) => void }) {
  return (
    <Chip.Group multiple value={picked} onChange={(next) => onPick(next.slice(-MOST))}>
      <Group gap={6}>
        {names.map((name) => (
          <Chip key={name} value={name} size="xs" variant="outline">
            {name}
          </Chip>
        ))}
      </Group>
    </Chip.Group>
  );
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

function rangeOf(curves: Curve[]): [number, number] {
  const firsts = curves.map((curve) => curve.steps[0]).filter((step) => step !== undefined);
  const lasts = curves.map((curve) => curve.steps.at(-1)).filter((step) => step !== undefined);
  return firsts.length ? [Math.min(...firsts), Math.max(...lasts)] : [0, 1];
}
