import { bytes } from "@/lib/format/numbers";
import classes from "./Bars.module.css";

const NEARLY_FULL = 0.9;

/** The space of each file system. */
export function Mounts({ gauges }: { gauges: Record<string, number> }) {
  const mounts = Object.entries(gauges)
    .filter(([key]) => key.startsWith("disk.total_bytes:"))
    .map(([key, total]) => ({ mount: key.slice(key.indexOf(":") + 1), total }));
  return (
    <div>
      <h3 className={classes.title}>Disk space</h3>
      {mounts.map(({ mount, total }) => {
        const used = gauges[`disk.used_bytes:${mount}`] ?? 0;
        return (
          <div key={mount} className={`figures ${classes.mount}`}>
            <span className="mono" title={mount}>
              {mount}
            </span>
            <span className={classes.bar} data-full={used / total > NEARLY_FULL || undefined}>
              <span style={{ width: `${Math.min(100, (used / total) * 100)}%` }} />
            </span>
            <span>{`${bytes(total - used)} free of ${bytes(total)}`}</span>
          </div>
        );
      })}
    </div>
  );
}
