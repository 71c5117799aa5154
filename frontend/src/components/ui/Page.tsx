import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";
import classes from "./Page.module.css";

interface PageProps {
  title: ReactNode;
  /** What the browser's tab says, if not the title. */
  tab?: string;
  /** Beside the title: state, kind, id. */
  meta?: ReactNode;
  /** At the right end of the title's line. */
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every page: one heading, what belongs to it, the content. */
export function Page({ title, tab, meta, actions, children }: PageProps) {
  const told = tab ?? (typeof title === "string" ? title.trim() : "");
  useDocumentTitle(told ? `${told} · Headway` : "Headway");
  return (
    <main className={classes.page} id="content" tabIndex={-1}>
      <header className={classes.head}>
        <div className={classes.heading}>
          <h1 className={classes.title}>{title}</h1>
          {meta && <div className={classes.meta}>{meta}</div>}
        </div>
        {actions && <div className={classes.actions}>{actions}</div>}
      </header>
      {children}
    </main>
  );
}

/** A titled part of a page, set off by space and a hairline. */
export function Section({ title, aside, children }: { title: ReactNode; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className={classes.section}>
      <div className={classes.sectionHead}>
        <h2>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}
