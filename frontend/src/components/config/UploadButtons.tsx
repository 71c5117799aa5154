import { Button } from "@mantine/core";
import { type ChangeEvent, useRef } from "react";
import { type Accepted, suffixes } from "@/lib/api/upload";
import { bytes } from "@/lib/format/numbers";
import type { Artifact } from "@/types/api";
import classes from "./UploadButtons.module.css";
import { useUpload } from "./useUpload";

interface UploadButtonsProps {
  type: string;
  accepted: Accepted;
  /** The field's, for who cannot see where the buttons stand. */
  label: string;
  onDone: (artifact: Artifact) => void;
}

/** Files of this machine for a field: chosen, sent with their progress, cancelled. */
export function UploadButtons({ type, accepted, label, onDone }: UploadButtonsProps) {
  const { sent, trouble, send, cancel } = useUpload(type, accepted, onDone);
  if (sent)
    return (
      <div className={classes.row}>
        <Button variant="default" size="compact-xs" onClick={cancel}>
          Cancel
        </Button>
        <span role="status">{sent.arrived < sent.total ? `${bytes(sent.arrived)} of ${bytes(sent.total)} sent` : "Sent, being checked"}</span>
      </div>
    );
  return (
    <div className={classes.row}>
      <Choice text={accepted.folder ? "Upload files" : "Upload a file"} label={label} accepted={accepted} onChosen={send} />
      {accepted.folder && <Choice text="Upload a folder" label={label} accepted={accepted} onChosen={send} folder />}
      {trouble && (
        <span className={classes.trouble} role="alert">
          {trouble}
        </span>
      )}
    </div>
  );
}

interface ChoiceProps {
  text: string;
  label: string;
  accepted: Accepted;
  onChosen: (files: File[]) => void;
  folder?: boolean;
}

function Choice({ text, label, accepted, onChosen, folder = false }: ChoiceProps) {
  const input = useRef<HTMLInputElement>(null);
  const choose = ({ currentTarget }: ChangeEvent<HTMLInputElement>) => {
    onChosen([...(currentTarget.files ?? [])]);
    // the same file may be chosen again
    currentTarget.value = "";
  };
  return (
    <>
      <Button variant="default" size="compact-xs" onClick={() => input.current?.click()}>
        {text}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={`${text}: ${label}`}
        multiple={accepted.folder}
        accept={folder ? undefined : suffixes(accepted.patterns)}
        onChange={choose}
        {...(folder && { webkitdirectory: "" })}
      />
    </>
  );
}
