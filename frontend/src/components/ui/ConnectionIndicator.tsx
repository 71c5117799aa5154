import { ago } from "@/lib/format/times";
import { useNow } from "@/lib/format/useNow";
import { type Mode, connection, modeOf } from "@/lib/live/connection";
import classes from "./ConnectionIndicator.module.css";

const WORDS: Record<Mode, { label: string; title: string }> = {
  pushed: { label: "Live", title: "Updates are pushed as they happen" },
  polled: { label: "Polling", title: "The live connection is away; the page asks every 2 seconds" },
  connecting: { label: "Connecting", title: "The live connection is being made" },
  offline: { label: "Offline", title: "The server does not answer; what is shown may be old" },
};

/** How data comes at the moment, and how old it is: a mark, a word, an age. */
export function ConnectionIndicator() {
  const now = useNow();
  const state = connection.read();
  const mode = modeOf(state, now);
  return (
    <div className={classes.indicator} data-mode={mode} title={WORDS[mode].title} role="status" aria-live="off">
      <span className={classes.mark} />
      <span className={classes.label}>{WORDS[mode].label}</span>
      <span className={`figures ${classes.age}`}>{mode !== "connecting" && ago((now - state.heardAt) / 1000)}</span>
    </div>
  );
}
