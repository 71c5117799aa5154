import { useEffect, useEffectEvent, useState } from "react";
import { paced } from "./paced";
import { follow } from "./socket";
import type { Stream } from "./streams";

/** What follows within this time is shown together: curves that are drawn anew with each push cost much, and look no better. */
const SHOW_MS = 250;

interface Followed<S> {
  key: string | null;
  value: S;
  /** All that there is by now is in the value. */
  isWhole: boolean;
}

/** What a stream has told so far, folded into a value; the stream is made anew with each key, `null` follows nothing. */
export function useFollowed<T, S>(key: string | null, make: () => Stream<T>, empty: S, fold: (held: S, told: T[]) => S): Followed<S> {
  const nothing = { key, value: empty, isWhole: false };
  const [state, setState] = useState<Followed<S>>(nothing);
  const begin = useEffectEvent(make);
  useEffect(() => {
    if (key === null) return;
    const leaving = new AbortController();
    let value = empty;
    let told: T[] = [];
    const { tell, stop } = paced((isWhole) => {
      if (told.length > 0) value = fold(value, told);
      told = [];
      setState((held) => (held.key === key && held.value === value && held.isWhole === isWhole ? held : { key, value, isWhole }));
    }, SHOW_MS);
    const run = async () => {
      for await (const each of follow(begin(), leaving.signal, tell)) told.push(each);
    };
    // What HTTP refuses the page's own reading tells.
    void run().catch(() => tell(true));
    return () => {
      stop();
      leaving.abort();
    };
  }, [key, empty, fold]);
  return state.key === key ? state : nothing;
}
