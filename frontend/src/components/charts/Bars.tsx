import classes from "./Bars.module.css";

export interface Bar {
  count: number;
  /** What the bar counts, said in words where it is pointed at. */
  title: string;
}

interface BarsProps {
  label: string;
  bars: Bar[];
  /** Below the axis: where, from 0 at its first end to 1 at its last, and what it says there. */
  ticks: { at: number; text: string }[];
}

/** A histogram as plain bars from one line; small counts stay visible. */
export function Bars({ label, bars, ticks }: BarsProps) {
  const most = Math.max(1, ...bars.map((bar) => bar.count));
  return (
    <figure className={classes.figure}>
      <div className={classes.bars} role="img" aria-label={`${label}: ${bars.map((bar) => bar.title).join("; ")}`}>
        {bars.map((bar) => (
          <div key={bar.title} className={classes.place} title={bar.title}>
            <div className={classes.bar} data-none={bar.count === 0 || undefined} style={{ height: `${(bar.count / most) * 100}%` }} />
          </div>
        ))}
      </div>
      <div className={`figures ${classes.ticks}`} aria-hidden="true">
        {ticks.map(({ at, text }) => (
          // at the ends of the axis the words stay within it
          <span key={at} style={{ left: `${at * 100}%`, transform: `translateX(${-at * 100}%)` }}>
            {text}
          </span>
        ))}
      </div>
    </figure>
  );
}
