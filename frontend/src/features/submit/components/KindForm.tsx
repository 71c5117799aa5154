import { Button, TextInput } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { ConfigForm } from "@/components/config/ConfigForm";
import { formSchema, withoutEmpty } from "@/lib/schema/form";
import type { JsonObject, Kind } from "@/types/api";
import { useSubmit } from "../api/queries";
import { ForecastLine } from "./ForecastLine";
import classes from "./SubmitPage.module.css";

/** The form of a new job of a kind. */
export function KindForm({ kind }: { kind: Kind }) {
  const navigate = useNavigate();
  const submit = useSubmit();
  const schema = useMemo(() => formSchema(kind.schema), [kind.schema]);
  const [data, setData] = useState<JsonObject>({});
  const [name, setName] = useState("");
  const [key, setKey] = useState(newKey);

  const change = (next: JsonObject) => {
    submit.reset();
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
      <ConfigForm schema={schema} data={data} error={submit.error} onChange={change} onSubmit={send}>
        {(problems) => (
          <>
            <div className={classes.foot}>
              <Button type="submit" size="sm" loading={submit.isPending}>
                Start
              </Button>
              <span className="dim">{`Runs in the ${kind.queue} queue`}</span>
            </div>
            <ForecastLine kind={kind.name} config={withoutEmpty(data) as JsonObject} />
            <div className={classes.problems}>{problems}</div>
          </>
        )}
      </ConfigForm>
    </div>
  );
}

const newKey = (): string => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
