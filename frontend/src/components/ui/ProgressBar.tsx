import { toneOf } from "@/lib/jobs/states";
import { percent as percentText } from "@/lib/format/numbers";
import type { JobState, StudyState } from "@/types/api";
import classes from "./PhaseBar.module.css";

interface ProgressBarProps {
  state: JobState | StudyState;
  percent: number;
  size?: "thin" | "tall";
}

/** Progress in one piece, as it was last told. */
export function ProgressBar({ state, percent, size = "thin" }: ProgressBarProps) {
  return (
    <div
      className={classes.bar}
      data-size={size}
      data-tone={toneOf(state)}
      role="progressbar"
      aria-valuenow={percent}
      aria-valuetext={percentText(percent)}
      aria-label="Progress"
    >
      <div className={classes.segment} style={{ flexGrow: 1 }}>
        <div className={classes.fill} style={{ transform: `scaleX(${percent / 100})` }} />
      </div>
    </div>
  );
}
