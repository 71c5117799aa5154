import { Button, Checkbox, TagsInput, TextInput } from "@mantine/core";
import {
  ADDITIONAL_PROPERTY_FLAG,
  type ObjectFieldTemplateProps,
  type OptionalDataControlsTemplateProps,
  type TemplatesType,
  type WidgetProps,
  type WrapIfAdditionalTemplateProps,
  canExpand,
} from "@rjsf/utils";
import { Prose } from "@/components/ui/Prose";
import { ArtifactWidget } from "./ArtifactWidget";
import classes from "./ConfigForm.module.css";

/** Fields in two columns; what is itself an object or a list takes the width. A map grows by a button. */
function ObjectTemplate(props: ObjectFieldTemplateProps) {
  const { description, properties, schema, uiSchema, formData, optionalDataControl, onAddProperty, disabled, readonly } = props;
  // an item of a map has its name for a title
  const title = ADDITIONAL_PROPERTY_FLAG in schema ? "" : props.title;
  return (
    <div className={title ? classes.group : undefined}>
      {title && (
        <div className={classes.groupTitle}>
          {title}
          {optionalDataControl}
        </div>
      )}
      {title && description && <div className={classes.groupText}>{typeof description === "string" ? <Prose text={description} /> : description}</div>}
      <div className={classes.grid}>
        {properties.map((property) => (
          <div key={property.name} className={isWide(schema.properties?.[property.name]) ? classes.wide : undefined}>
            {property.content}
          </div>
        ))}
      </div>
      {canExpand(schema, uiSchema, formData) && (
        <Button variant="default" size="compact-xs" mt={properties.length > 0 ? 14 : 0} onClick={onAddProperty} disabled={disabled || readonly}>
          Add
        </Button>
      )}
    </div>
  );
}

/** An item of a map: its name, which can be changed, and its value. */
function MapItem({ id, label, schema, children, classNames, style, onKeyRenameBlur, onRemoveProperty, disabled, readonly }: WrapIfAdditionalTemplateProps) {
  if (!(ADDITIONAL_PROPERTY_FLAG in schema)) return <div className={classNames} style={style}>{children}</div>;
  const isFixed = disabled || readonly;
  return (
    <div className={classes.item}>
      <TextInput key={label} id={`${id}-key`} label="Name" defaultValue={label} onBlur={onKeyRenameBlur} disabled={isFixed} />
      {children}
      <Button variant="default" size="compact-xs" mt={26} aria-label={`Remove ${label}`} onClick={onRemoveProperty} disabled={isFixed}>
        Remove
      </Button>
    </div>
  );
}

function isWide(property: unknown): boolean {
  if (typeof property !== "object" || property === null) return false;
  const { type, $ref, anyOf, items } = property as { type?: string; $ref?: string; anyOf?: unknown; items?: { $ref?: string } };
  return type === "object" || items?.$ref !== undefined || $ref !== undefined || anyOf !== undefined;
}

const SEPARATORS = /[,\s]+/;

/** A list of numbers or words on one line; Enter or a comma ends an item. */
function ListWidget({ id, label, value, required, onChange, options, rawErrors, disabled, readonly, schema }: WidgetProps) {
  const { type } = (schema.items ?? {}) as { type?: string };
  const typed = (item: string) => (type === "string" || Number.isNaN(Number(item)) ? item : Number(item));
  return (
    <TagsInput
      id={id}
      label={label}
      description={options.description}
      value={((value ?? []) as unknown[]).map(String)}
      onChange={(next) => onChange(next.flatMap((item) => item.split(SEPARATORS)).filter(Boolean).map(typed))}
      splitChars={[",", " "]}
      allowDuplicates
      required={required}
      disabled={disabled || readonly}
      // its words stand below already: a list tells its errors itself
      error={Boolean(rawErrors?.length)}
    />
  );
}

function CheckboxWidget({ id, label, value, onChange, options, rawErrors, disabled, readonly }: WidgetProps) {
  return (
    <Checkbox
      id={id}
      label={label}
      description={options.description}
      checked={Boolean(value)}
      onChange={(event) => onChange(event.currentTarget.checked)}
      disabled={disabled || readonly}
      error={rawErrors?.join("\n")}
      mt={4}
    />
  );
}

/** Brings an object that may be left out into being, or takes it away again. */
function OptionalControls({ id, onAddClick, onRemoveClick }: OptionalDataControlsTemplateProps) {
  return (
    <Button id={id} variant="default" size="compact-xs" onClick={onAddClick ?? onRemoveClick}>
      {onAddClick ? "Set" : "Leave out"}
    </Button>
  );
}

export const templates: Partial<TemplatesType> = {
  ObjectFieldTemplate: ObjectTemplate,
  OptionalDataControlsTemplate: OptionalControls,
  WrapIfAdditionalTemplate: MapItem,
};
export const widgets = { artifact: ArtifactWidget, list: ListWidget, CheckboxWidget };
