import { Button, TextInput } from "@mantine/core";
import { Form } from "@rjsf/mantine";
import type { ErrorSchema, RJSFSchema, RJSFValidationError, UiSchema } from "@rjsf/utils";
import validator from "@rjsf/validator-ajv8";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { Prose } from "@/components/ui/Prose";
import { Notice } from "@/components/ui/Notice";
import { ApiError, messageOf } from "@/lib/api/errors";
import { errorTree, formSchema, uiSchema, withoutEmpty } from "@/lib/schema/form";
import type { JsonObject, Kind } from "@/types/api";
import { useSubmit } from "../api/queries";
import { templates, widgets } from "./formParts";
import classes from "./SubmitPage.module.css";

/** A form from the kind's JSON Schema; the server has the last word, and its errors stand at their fields. */
export function KindForm({ kind }: { kind: Kind }) {
  const navigate = useNavigate();
  const submit = useSubmit();
  const schema = useMemo(() => formSchema(kind.schema), [kind.schema]);
  const ui = useMemo(() => ({ ...withProse(uiSchema(schema)), "ui:title": "", "ui:description": "" }), [schema]);
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
      <Form
        schema={schema as RJSFSchema}
        uiSchema={ui}
        validator={validator}
        formData={data}
        extraErrors={errors.tree as ErrorSchema}
        onChange={({ formData }) => change(formData as JsonObject)}
        onSubmit={send}
        onError={() => {}}
        templates={templates}
        widgets={widgets}
        showErrorList={false}
        transformErrors={(list) => list.map(asShown)}
        noHtml5Validate
        focusOnFirstError
      >
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
      </Form>
    </div>
  );
}

/** The form's own errors as sentences; one at an item of a list is shown at the list. */
function asShown(error: RJSFValidationError): RJSFValidationError {
  return { ...error, message: error.message?.replace(/^must/, "Must"), property: error.property?.replace(/\.\d+$|\[\d+\]$/, "") };
}

/** Descriptions may hold code. */
function withProse(ui: JsonObject): UiSchema {
  const shown = Object.entries(ui).map(([key, value]) => {
    if (key === "ui:description") return [key, <Prose text={String(value)} />];
    const isField = !key.startsWith("ui:") && typeof value === "object" && value !== null && !Array.isArray(value);
    return [key, isField ? withProse(value) : value];
  });
  return Object.fromEntries(shown);
}

const newKey = (): string => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
