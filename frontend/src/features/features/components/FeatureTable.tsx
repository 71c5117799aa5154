import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import { count, metric, share } from "@/lib/format/numbers";
import type { Feature } from "@/types/api";
import { type Look, type Sort, sorted } from "../look";
import { shown } from "../shading";
import classes from "./Features.module.css";

const ROW_PX = 44;
const AHEAD_ROWS = 12;
const TOKENS = 4;

const COLUMNS: { sort: Sort; title: string }[] = [
  { sort: "index", title: "Feature" },
  { sort: "density", title: "Density" },
  { sort: "max", title: "Max" },
  { sort: "label", title: "Label, tokens" },
];

interface FeatureTableProps {
  items: Feature[];
  look: Look;
  onLook: (changes: Partial<Look>) => void;
  hasMore: boolean;
  onMore: () => void;
  isPending: boolean;
}

/** A long list of features; only the rows in sight are in the page. */
export function FeatureTable({ items, look, onLook, hasMore, onMore, isPending }: FeatureTableProps) {
  const frame = useRef<HTMLDivElement>(null);
  // what it answers is used here alone, and this component is not compiled to be skipped
  // eslint-disable-next-line react-hooks/incompatible-library
  const rows = useVirtualizer({ count: items.length, getScrollElement: () => frame.current, estimateSize: () => ROW_PX, overscan: AHEAD_ROWS });
  const inSight = rows.getVirtualItems();
  const last = inSight.at(-1)?.index ?? 0;
  const chosen = items.findIndex((item) => item.feature === look.feature);

  useEffect(() => {
    if (hasMore && last >= items.length - AHEAD_ROWS) onMore();
  });
  useEffect(() => {
    if (chosen >= 0) rows.scrollToIndex(chosen);
  }, [chosen, rows]);

  return (
    <>
      <div className={classes.head}>
        {COLUMNS.map(({ sort, title }) => (
          <button key={sort} type="button" className={classes.sort} aria-pressed={look.sort === sort} onClick={() => onLook(sorted(look, sort))}>
            {title}
            {look.sort === sort && <span aria-label={look.order === "asc" ? "rising" : "falling"}>{look.order === "asc" ? " ↑" : " ↓"}</span>}
          </button>
        ))}
      </div>
      <div ref={frame} className={classes.rows}>
        {items.length === 0 && !isPending && <p className={`dim ${classes.none}`}>No feature fits.</p>}
        <ul style={{ height: rows.getTotalSize() }} aria-label="Features">
          {inSight.map(({ index, start }) => (
            <li key={index} style={{ transform: `translateY(${start}px)` }} aria-setsize={items.length} aria-posinset={index + 1}>
              <Row item={items[index]!} isChosen={index === chosen} onChoose={() => onLook({ feature: items[index]!.feature })} />
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}

function Row({ item, isChosen, onChoose }: { item: Feature; isChosen: boolean; onChoose: () => void }) {
  const tokens = item.top_tokens.slice(0, TOKENS).map(([token]) => token);
  return (
    <button type="button" className={classes.row} aria-current={isChosen || undefined} data-testid="feature" onClick={onChoose}>
      <span className="figures">{count(item.feature)}</span>
      <span className="figures">{share(item.density)}</span>
      <span className="figures">{metric(item.max)}</span>
      <span className={classes.words}>
        {item.label && <span className={classes.label}>{item.label.label}</span>}
        <span className={classes.tokens}>
          {tokens.map((token, i) => (
            <span key={i} className={classes.token}>
              {shown(token)}
            </span>
          ))}
        </span>
      </span>
    </button>
  );
}
