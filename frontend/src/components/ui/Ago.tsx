import { useNow } from "@/lib/format/useNow";
import { ago } from "@/lib/format/times";

/** How long ago something was, kept current; the exact time on hover. */
export function Ago({ at }: { at: string | null }) {
  const now = useNow(1_000);
  if (at === null) return <>–</>;
  return (
    <time dateTime={at} title={new Date(at).toLocaleString("en-GB")}>
      {ago((now - Date.parse(at)) / 1000)}
    </time>
  );
}
