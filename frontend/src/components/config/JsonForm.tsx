import { Textarea } from "@mantine/core";
import { type ReactNode, useState } from "react";
import type { FieldError, JsonObject } from "@/types/api";
import classes from "./ConfigForm.module.css";

interface JsonFormProps {
  data: JsonObject;
  onChange: (data: JsonObject) => void;
  onSubmit: () => void;
  onRefused: (problems: FieldError[]) => void;
  children: ReactNode;
}

/** A config as text: to paste one that was kept, or to read it whole. */
export function JsonForm({ data, onChange, onSubmit, onRefused, children }: JsonFormProps) {
  const [text, setText] = useState(() => JSON.stringify(data, null, 2));
  const [trouble, setTrouble] = useState<string | null>(null);
  const type = (next: string) => {
    setText(next);
    const read = parse(next);
    setTrouble(read.trouble);
    if (read.value) onChange(read.value);
  };
  const send = (event: React.FormEvent) => {
    event.preventDefault();
    if (trouble) onRefused([{ field: "config", message: trouble }]);
    else onSubmit();
  };
  return (
    <form onSubmit={send}>
      <Textarea
        label="Config"
        classNames={{ input: classes.json }}
        value={text}
        onChange={(event) => type(event.currentTarget.value)}
        error={trouble}
        minRows={12}
        autosize
        spellCheck={false}
      />
      {children}
    </form>
  );
}

type Read = { value: JsonObject; trouble: null } | { value: null; trouble: string };

function parse(text: string): Read {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { value: value as JsonObject, trouble: null };
    return { value: null, trouble: "A config is an object: { \"field\": value, ... }" };
  } catch (error) {
    return { value: null, trouble: `This is not JSON yet: ${(error as Error).message}` };
  }
}
