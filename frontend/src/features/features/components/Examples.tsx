import { metric } from "@/lib/format/numbers";
import type { FeatureExample, WholeFeature } from "@/types/api";
import { shown, strengthOf } from "../shading";
import classes from "./Features.module.css";

const BANDS = [
  { band: "top", title: "Strongest examples" },
  { band: "q3", title: "Highest quarter of its activations" },
  { band: "q2", title: "Second quarter" },
  { band: "q1", title: "Third quarter" },
  { band: "q0", title: "Lowest quarter" },
];

/** Where a feature fires, from its strongest examples to weak ones. */
export function Examples({ feature }: { feature: WholeFeature }) {
  const bands = BANDS.map((each) => ({ ...each, examples: feature.examples.filter((example) => example.band === each.band) }));
  return bands
    .filter(({ examples }) => examples.length > 0)
    .map(({ band, title, examples }) => (
      <section key={band} className={classes.band}>
        <h3>{title}</h3>
        <ol className={classes.examples}>
          {examples.map((example) => (
            <li key={example.rank}>
              <span className="figures dim" title={`context ${example.context}`}>
                {metric(example.activation)}
              </span>
              <Text example={example} max={feature.max} />
            </li>
          ))}
        </ol>
      </section>
    ));
}

/** An example's text, the accent behind each token as strong as the feature fires on it; its peak is underlined. */
function Text({ example, max }: { example: FeatureExample; max: number }) {
  return (
    <p className={classes.text}>
      {example.tokens.map((token, i) => {
        const activation = example.activations[i] ?? 0;
        const strength = strengthOf(activation, max);
        if (strength === 0) return <span key={i}>{shown(token)}</span>;
        return (
          <mark
            key={i}
            className={classes.mark}
            data-peak={i === example.position || undefined}
            style={{ "--strength": `${strength}%` } as React.CSSProperties}
            title={metric(activation)}
          >
            {shown(token)}
          </mark>
        );
      })}
    </p>
  );
}
