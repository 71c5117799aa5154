import { Switch } from "@mantine/core";
import { memo, useEffect, useRef, useState } from "react";
import { Section } from "@/components/ui/Page";
import { clock } from "@/lib/format/times";
import { isActive, isFinal } from "@/lib/jobs/states";
import type { Job, LogLine } from "@/types/api";
import { useLogs } from "../hooks/useLogs";
import classes from "./Logs.module.css";

const NEAR_END_PX = 24;

/** The end of the log. It follows new lines until the reader scrolls up. */
export function Logs({ job }: { job: Job }) {
  const { lines, isPending } = useLogs(job.id);
  const [follow, setFollow] = useState(true);
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [follow, lines]);

  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!;
    setFollow(scrollHeight - scrollTop - clientHeight < NEAR_END_PX);
  };
  // A running job's box stands empty until its first line comes, so that nothing moves then.
  const isEmpty = lines.length === 0 && !isPending && !isActive(job.state);
  const toggle = <Switch size="xs" label="Follow" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />;

  return (
    <Section title="Log" aside={toggle}>
      {isEmpty ? (
        <p className="dim">{isFinal(job.state) ? "Nothing was logged." : "Nothing logged yet."}</p>
      ) : (
        <div className={classes.box} ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-live="off" aria-label="Log">
          {lines.length === 0 && !isPending && <p className="dim">Nothing logged yet.</p>}
          {lines.map((line) => (
            <Line key={line.no} line={line} />
          ))}
        </div>
      )}
    </Section>
  );
}

const Line = memo(function Line({ line }: { line: LogLine }) {
  const at = Date.parse(line.at);
  return (
    <div className={classes.line} data-level={line.level}>
      <time className={classes.time} dateTime={line.at}>
        {clock(at, at, true)}
      </time>
      <span className={classes.level}>{line.level}</span>
      <span className={classes.text}>{line.text}</span>
    </div>
  );
});
