import classes from "./Bars.module.css";

/** Each core now, as a column that is as full as the core. */
export function Cores({ gauges }: { gauges: Record<string, number> }) {
  const cores = Object.entries(gauges)
    .filter(([key]) => key.startsWith("cpu.core_percent:"))
    .map(([key, percent]) => ({ number: Number(key.split(":")[1]), percent }))
    .sort((a, b) => a.number - b.number);
  return (
    <div>
      <h3 className={classes.title}>Cores</h3>
      <div className={classes.cores} role="img" aria-label={cores.map(({ number, percent }) => `core ${number} ${Math.round(percent)} %`).join(", ")}>
        {cores.map(({ number, percent }) => (
          <span key={number} className={classes.core} title={`core ${number}: ${Math.round(percent)} %`}>
            <span style={{ height: `${percent}%` }} />
          </span>
        ))}
      </div>
    </div>
  );
}
