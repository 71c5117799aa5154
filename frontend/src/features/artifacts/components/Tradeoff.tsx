import { metric } from "@/lib/format/numbers";
import type { EvaluatedSae } from "../meta";
import classes from "./Tradeoff.module.css";

/** Room at each end of an axis, as a share of what is shown. */
const ROOM = 0.08;

/** What each SAE explains for how many features a token: better ones lie further up and to the left. */
export function Tradeoff({ saes }: { saes: EvaluatedSae[] }) {
  const x = scaleOf(saes.map((sae) => sae.l0));
  const y = scaleOf(saes.map((sae) => sae.explained_variance));
  return (
    <figure className={classes.figure}>
      <figcaption>Explained variance over L0</figcaption>
      <div className={classes.plane} role="img" aria-label={saes.map((sae) => `${sae.sae}: ${metric(sae.explained_variance)} at L0 ${metric(sae.l0)}`).join("; ")}>
        {saes.map((sae) => (
          <span key={sae.sae} className={classes.dot} data-left={x.at(sae.l0) > 0.6 || undefined} style={{ left: `${x.at(sae.l0) * 100}%`, bottom: `${y.at(sae.explained_variance) * 100}%` }}>
            <span>{sae.sae}</span>
          </span>
        ))}
        <span className={classes.top}>{metric(y.most)}</span>
        <span className={classes.bottom}>{metric(y.least)}</span>
      </div>
      <div className={`figures ${classes.ticks}`} aria-hidden="true">
        <span>{metric(x.least)}</span>
        <span>{metric(x.most)}</span>
      </div>
    </figure>
  );
}

/** Values on an axis from 0 to 1, with room at its ends. */
function scaleOf(values: number[]) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const width = most - least || Math.abs(most) || 1;
  return { least, most, at: (value: number) => ROOM + (1 - 2 * ROOM) * (most === least ? 0.5 : (value - least) / width) };
}
