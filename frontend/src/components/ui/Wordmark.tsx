import classes from "./Wordmark.module.css";

/** The product's name with its mark: three segments of a timeline, the last one under way. */
export function Wordmark() {
  return (
    <span className={classes.wordmark}>
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        <rect x="1" y="4" width="4" height="12" rx="1" fill="var(--accent)" />
        <rect x="7" y="4" width="7" height="12" rx="1" fill="var(--accent)" />
        <rect x="16" y="4" width="3" height="12" rx="1" fill="var(--line-strong)" />
      </svg>
      Headway
    </span>
  );
}
