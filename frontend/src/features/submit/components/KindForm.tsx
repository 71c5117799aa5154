import { Button, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { ConfigForm } from "@/components/config/ConfigForm";
import { Notice } from "@/components/ui/Notice";
import { ApiError, messageOf } from "@/lib/api/errors";
import { errorTree, formSchema, withoutEmpty } from "@/lib/schema/form";
import type { JsonObject, Kind } from "@/types/api";
import { useSubmit } from "../api/queries";
import classes from "./SubmitPage.module.css";

/** The form of a new job of a kind. */
export function KindForm({ kind }: { kind: Kind }) {
  const navigate = useNavigate();
  const submit = useSubmit();
  const schema = useMemo(() => formSchema(kind.schema), [kind.schema]);
  const [data, setData] = useState<JsonObject>({});
  const [name, setName] = useState("");
  const [key, setKey] = useState(newKey);
  const errors = useMemo(() => errorTree(submit.error instanceof ApiError ? submit.error.fields : []), [submit.error]);
  const isUnplaced = submit.error !== null && Object.keys(errors.tree).length === 0;

  const change = (next: JsonObject) => {
    setData(next);
    setKey(newKey());
  };
  const send = () =>
    submit.mutate(
      { kind: kind.name, name: name || undefined, config: withoutEmpty(data) as JsonObject, key },
      { onSuccess: (job) => void navigate({ to: "/jobs/$id", params: { id: job.id } }) },
    );

  return (
    <div className={classes.form}>
      <TextInput
        className={classes.name}
        label="Name"
        description="How the job is called in lists; its kind if left empty"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <ConfigForm schema={schema} data={data} errors={errors.tree} onChange={change} onSubmit={send}>
        <div className={classes.foot}>
          <Button type="submit" size="sm" loading={submit.isPending}>
            Start
          </Button>
          <span className="dim">{`Runs in the ${kind.queue} queue`}</span>
        </div>
        {isUnplaced && (
          <div style={{ marginTop: 16 }}>
            <Notice title="The job was not accepted">{errors.others.join("; ") || messageOf(submit.error)}</Notice>
          </div>
        )}
      </ConfigForm>
    </div>
  );
}

const newKey = (): string => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
