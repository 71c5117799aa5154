import { Button } from "@mantine/core";
import { useState } from "react";
import { count } from "@/lib/format/numbers";
import { type Subject, fileUrl, thumbPath } from "../session";
import classes from "./Images.module.css";

const AT_FIRST = 48;
const MORE = 240;

interface ThumbsProps {
  session: string;
  subject: Subject;
  numbers: number[];
  chosen?: number | null;
  /** What stands below a thumbnail. */
  captionOf?: (no: number) => string;
  onChoose: (no: number) => void;
}

/** Thumbnails that can be chosen; of many the first, and more when asked for. */
export function Thumbs({ session, subject, numbers, chosen, captionOf, onChoose }: ThumbsProps) {
  const [shown, setShown] = useState(AT_FIRST);
  const kind = subject === "faces" ? "Face" : "Picture";
  return (
    <>
      <ul className={classes.thumbs}>
        {numbers.slice(0, shown).map((no) => (
          <li key={no}>
            <button type="button" className={classes.thumb} data-chosen={no === chosen || undefined} aria-label={`${kind} ${no}`} onClick={() => onChoose(no)}>
              <img src={fileUrl(session, thumbPath(subject, no))} alt="" loading="lazy" width={104} height={104} />
              {captionOf && <span className="figures dim">{captionOf(no)}</span>}
            </button>
          </li>
        ))}
      </ul>
      {numbers.length > shown && (
        <Button className={classes.more} variant="default" size="xs" onClick={() => setShown(shown + MORE)}>
          {count(numbers.length - shown)} more
        </Button>
      )}
    </>
  );
}
