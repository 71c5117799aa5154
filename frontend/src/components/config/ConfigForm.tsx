import { SegmentedControl } from "@mantine/core";
import { Form } from "@rjsf/mantine";
import { type ErrorSchema, type RJSFSchema, type RJSFValidationError, type UiSchema, getDefaultFormState } from "@rjsf/utils";
import validator from "@rjsf/validator-ajv8";
import { type ReactNode, useMemo, useState } from "react";
import { Prose } from "@/components/ui/Prose";
import { errorTree, uiSchema } from "@/lib/schema/form";
import type { FieldError, JsonObject } from "@/types/api";
import classes from "./ConfigForm.module.css";
import { JsonForm } from "./JsonForm";
import { Problems, problemsOf } from "./Problems";
import { templates, widgets } from "./formParts";

interface ConfigFormProps {
  /** Of the config, made plain by `formSchema`. */
  schema: JsonObject;
  data: JsonObject;
  /** What the server answered to the last try. */
  error: unknown;
  onChange: (data: JsonObject) => void;
  onSubmit: () => void;
  /** Below the fields: the button that submits, and where to tell what was refused. */
  children: (problems: ReactNode) => ReactNode;
}

const WAYS = [
  { value: "form", label: "Form" },
  { value: "json", label: "JSON" },
];

/** A config's form from its JSON Schema, or its JSON; the server has the last word, and its errors stand at their fields. */
export function ConfigForm({ schema, data, error, onChange, onSubmit, children }: ConfigFormProps) {
  const [way, setWay] = useState("form");
  const [own, setOwn] = useState<FieldError[]>([]);
  const ui = useMemo(() => ({ ...withProse(uiSchema(schema)), "ui:title": "", "ui:description": "" }), [schema]);
  const errors = useMemo(() => errorTree(problemsOf(error)), [error]);
  const foot = children(<Problems own={own} error={error} />);
  const change = (next: JsonObject) => {
    setOwn([]);
    onChange(next);
  };
  return (
    <>
      <SegmentedControl className={classes.ways} size="xs" aria-label="How to write the config" data={WAYS} value={way} onChange={setWay} />
      {way === "json" ? (
        <JsonForm data={getDefaultFormState(validator, schema as RJSFSchema, data, schema as RJSFSchema) as JsonObject} onChange={change} onSubmit={onSubmit} onRefused={setOwn}>
          {foot}
        </JsonForm>
      ) : (
        <Form
          schema={schema as RJSFSchema}
          uiSchema={ui}
          validator={validator}
          formData={data}
          extraErrors={errors.tree as ErrorSchema}
          onChange={({ formData }) => change(formData as JsonObject)}
          onSubmit={onSubmit}
          onError={(list) => setOwn(list.map(asField))}
          templates={templates}
          widgets={widgets}
          showErrorList={false}
          transformErrors={(list) => list.map(asShown)}
          noHtml5Validate
          focusOnFirstError
        >
          {foot}
        </Form>
      )}
    </>
  );
}

/** The form's own errors as sentences; one at an item of a list is shown at the list. */
function asShown(error: RJSFValidationError): RJSFValidationError {
  return { ...error, message: error.message?.replace(/^must/, "Must"), property: error.property?.replace(/\.\d+$|\[\d+\]$/, "") };
}

/** An error as the server would tell it: the field's dotted name, and what is wrong. */
function asField({ property = "", message = "", name, params }: RJSFValidationError): FieldError {
  const path = property.replace(/^\./, "");
  if (name !== "additionalProperties") return { field: path, message };
  return { field: [path, String(params.additionalProperty)].filter(Boolean).join("."), message: "There is no such field." };
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
