/** What one follower has heard and not yet looked at, bounded: when full it is emptied, and says so. */

const MOST_HEARD = 1_000;

export type Heard =
  | { what: "snapshot"; channel: string; data: unknown; reset: boolean }
  | { what: "push"; channel: string; data: unknown }
  | { what: "refused" | "lost" | "overflow" };

export class Inbox {
  private heard: Heard[] = [];
  private wake: (() => void) | null = null;

  put(heard: Heard): void {
    if (this.heard.length >= MOST_HEARD) this.heard = [{ what: "overflow" }];
    else this.heard.push(heard);
    this.wake?.();
  }

  /** The next thing heard; null when nothing comes in time, or when the signal says to stop. */
  async next(ms: number, signal: AbortSignal): Promise<Heard | null> {
    if (this.heard.length === 0 && !signal.aborted) await this.came(ms, signal);
    return this.heard.shift() ?? null;
  }

  private came(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
      this.wake = done;
    });
  }
}
