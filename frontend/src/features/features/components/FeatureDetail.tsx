import { Button } from "@mantine/core";
import { Bars } from "@/components/charts/Bars";
import { FailedRead } from "@/components/ui/Notice";
import { count, metric, share } from "@/lib/format/numbers";
import type { WholeFeature } from "@/types/api";
import { useFeature } from "../api/queries";
import { Examples } from "./Examples";
import classes from "./Features.module.css";
import { LabelField } from "./LabelField";
import { TokenList } from "./TokenList";

interface FeatureDetailProps {
  id: string;
  sae: string;
  feature: number;
  labeller: string | null;
  onOpen: (feature: number | undefined) => void;
  onStep: (by: number) => void;
}

/** One feature: what it is called, how it fires, what it does, where it fires. */
export function FeatureDetail({ id, sae, feature, labeller, onOpen, onStep }: FeatureDetailProps) {
  const { data, error, refetch } = useFeature(id, sae, feature);
  return (
    <article aria-label={`Feature ${feature}`} data-testid="feature-detail">
      <div className={classes.title}>
        <h2>Feature {count(feature)}</h2>
        {data && (
          <span className="figures dim">
            fires on {share(data.density)} · max {metric(data.max)} · mean {metric(data.mean)}
          </span>
        )}
        <div className={classes.steps}>
          <Button size="compact-xs" variant="default" className={classes.back} onClick={() => onOpen(undefined)}>
            List
          </Button>
          <Button size="compact-xs" variant="default" title="k" onClick={() => onStep(-1)}>
            Previous
          </Button>
          <Button size="compact-xs" variant="default" title="j" onClick={() => onStep(1)}>
            Next
          </Button>
        </div>
      </div>
      {error && !data && <FailedRead error={error} retry={() => void refetch()} />}
      {data && (
        <>
          <LabelField id={id} feature={data} labeller={labeller} />
          <Figures feature={data} onOpen={onOpen} />
          <Examples feature={data} />
        </>
      )}
    </article>
  );
}

function Figures({ feature, onOpen }: { feature: WholeFeature; onOpen: (feature: number) => void }) {
  if (feature.density === 0) return <p className="dim">It fired on none of the tokens that were indexed.</p>;
  return (
    <div className={classes.figures}>
      <section>
        <h3>Activations</h3>
        <Bars label="Tokens by activation" bars={binsOf(feature)} ticks={[{ at: 0, text: "0" }, { at: 1, text: metric(feature.max) }]} />
      </section>
      <TokenList title="Fires on" tokens={feature.top_tokens} format={share} />
      {feature.promoted && <TokenList title="Makes likelier" tokens={feature.promoted} format={metric} />}
      {feature.suppressed && <TokenList title="Makes unlikelier" tokens={feature.suppressed} format={metric} />}
      <section>
        <h3>Nearest features</h3>
        <ul className={classes.pairs}>
          {feature.neighbours.map((near) => (
            <li key={near.feature}>
              <button type="button" className={classes.near} onClick={() => onOpen(near.feature)}>
                {count(near.feature)} {near.label && <span className="dim">{near.label}</span>}
              </button>
              <span className="figures dim">{near.cosine.toFixed(2)}</span>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

function binsOf({ histogram, max }: WholeFeature) {
  const width = max / histogram.length;
  return histogram.map((tokens, i) => ({ count: tokens, title: `${metric(i * width)} to ${metric((i + 1) * width)}: ${count(tokens)}` }));
}
