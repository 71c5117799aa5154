import { Form } from "@rjsf/mantine";
import type { ErrorSchema, RJSFSchema, RJSFValidationError, UiSchema } from "@rjsf/utils";
import validator from "@rjsf/validator-ajv8";
import { type ReactNode, useMemo } from "react";
import { Prose } from "@/components/ui/Prose";
import { type ErrorTree, uiSchema } from "@/lib/schema/form";
import type { JsonObject } from "@/types/api";
import { templates, widgets } from "./formParts";

interface ConfigFormProps {
  /** Of the config, made plain by `formSchema`. */
  schema: JsonObject;
  data: JsonObject;
  /** What the server said of the fields. */
  errors: ErrorTree;
  onChange: (data: JsonObject) => void;
  onSubmit: () => void;
  /** Below the fields: the button that submits. */
  children: ReactNode;
}

/** A config's form from its JSON Schema; the server has the last word, and its errors stand at their fields. */
export function ConfigForm({ schema, data, errors, onChange, onSubmit, children }: ConfigFormProps) {
  const ui = useMemo(() => ({ ...withProse(uiSchema(schema)), "ui:title": "", "ui:description": "" }), [schema]);
  return (
    <Form
      schema={schema as RJSFSchema}
      uiSchema={ui}
      validator={validator}
      formData={data}
      extraErrors={errors as ErrorSchema}
      onChange={({ formData }) => onChange(formData as JsonObject)}
      onSubmit={onSubmit}
      onError={() => {}}
      templates={templates}
      widgets={widgets}
      showErrorList={false}
      transformErrors={(list) => list.map(asShown)}
      noHtml5Validate
      focusOnFirstError
    >
      {children}
    </Form>
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
