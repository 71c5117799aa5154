import type { Json, JsonObject } from "@/types/api";

const OPTIONAL = "x-optional";

/** Pydantic's JSON Schema made plain for a form: `X | null` becomes an optional X, and inputs name their picker. */
export function formSchema(schema: JsonObject): JsonObject {
  return plain(schema, schema) as JsonObject;
}

function plain(node: Json, root: JsonObject): Json {
  if (Array.isArray(node)) return node.map((item) => plain(item, root));
  if (node === null || typeof node !== "object") return node;
  const optional = optionalOf(node);
  if (optional) return plain(absentUntilAsked(optional, root), root);
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, plain(value, root)]));
}

/** An object that may be left out has no defaults of its own here: they would bring it into being. */
function absentUntilAsked(node: JsonObject, root: JsonObject): JsonObject {
  const target = resolve(node, root);
  if (!target.properties) return node;
  const bare = Object.entries(target.properties as Record<string, JsonObject>).map(([name, { default: _, ...rest }]) => [name, rest]);
  const { $ref: _, ...told } = node;
  return { ...target, ...told, properties: Object.fromEntries(bare), [OPTIONAL]: true };
}

/** The X of `anyOf: [X, null]` with what stands beside it; null for anything else. */
function optionalOf(node: JsonObject): JsonObject | null {
  if (!Array.isArray(node.anyOf)) return null;
  const options = node.anyOf as JsonObject[];
  const others = options.filter((option) => option.type !== "null");
  if (options.length === others.length || others.length !== 1) return null;
  const { anyOf: _, default: preset, ...rest } = node;
  return { ...others[0], ...rest, ...(preset !== null && preset !== undefined && { default: preset }) };
}

/** rjsf's uiSchema: artifact inputs get their picker; bounds are told beside the description. */
export function uiSchema(schema: JsonObject): JsonObject {
  const properties = (schema.properties ?? {}) as Record<string, JsonObject>;
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, uiOf(property, schema)]));
}

function uiOf(property: JsonObject, root: JsonObject): JsonObject {
  const target = resolve(property, root);
  if (target.properties) {
    const inner = uiSchema({ ...target, $defs: root.$defs ?? {} });
    return { ...inner, ...(target[OPTIONAL] === true && { "ui:enableOptionalDataFieldForType": ["object"] }) };
  }
  const help = helpOf(String(property.description ?? target.description ?? ""), bounds(target));
  const input = property["x-input"] ?? target["x-input"];
  const upload = property["x-upload"] ?? target["x-upload"];
  return {
    ...(help && { "ui:description": help }),
    ...(isScalarList(target) && { "ui:widget": "list" }),
    ...(typeof input === "string" && { "ui:widget": "artifact", "ui:options": { artifactType: input, ...(upload !== undefined && { upload }) } }),
  };
}

/** A list of numbers or words, which one line can take. */
function isScalarList({ type, items }: JsonObject): boolean {
  const item = (items ?? {}) as JsonObject;
  return type === "array" && !item.enum && ["integer", "number", "string"].includes(String(item.type));
}

function resolve(property: JsonObject, root: JsonObject): JsonObject {
  const name = typeof property.$ref === "string" ? property.$ref.split("/").at(-1)! : null;
  return name ? ((root.$defs as Record<string, JsonObject> | undefined)?.[name] ?? property) : property;
}

/** The description, and the bounds as a sentence after it. */
function helpOf(description: string, limits: string): string {
  if (!limits) return description;
  const text = description && !/[.!?]$/.test(description) ? `${description}.` : description;
  return `${text} ${limits.charAt(0).toUpperCase()}${limits.slice(1)}.`.trim();
}

/** `1 to 1,024`, `at least 0`, `above 0, at most 1`. */
export function bounds(property: JsonObject): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = property as Record<string, number | undefined>;
  if (minimum !== undefined && maximum !== undefined) return `${show(minimum)} to ${show(maximum)}`;
  const parts = [
    minimum !== undefined && `at least ${show(minimum)}`,
    exclusiveMinimum !== undefined && `above ${show(exclusiveMinimum)}`,
    maximum !== undefined && `at most ${show(maximum)}`,
    exclusiveMaximum !== undefined && `below ${show(exclusiveMaximum)}`,
  ];
  return parts.filter(Boolean).join(", ");
}

const show = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: 6 });

/** A form's data without the fields left empty, so that the server's own defaults hold for them. */
export function withoutEmpty(data: Json): Json {
  if (data === null || typeof data !== "object" || Array.isArray(data)) return data;
  const kept = Object.entries(data).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutEmpty(value)]));
}

export interface ErrorTree {
  __errors?: string[];
  [field: string]: ErrorTree | string[] | undefined;
}

/** The server's field errors (`config.optimizer.lr`) as the tree rjsf shows at the fields, and those no field is for. */
export function errorTree(errors: { field: string; message: string }[]): { tree: ErrorTree; others: string[] } {
  const tree: ErrorTree = {};
  const others: string[] = [];
  for (const { field, message } of errors) {
    const [root, ...path] = field.split(".");
    if (root !== "config" || path.length === 0) others.push(`${field}: ${message}`);
    else place(tree, path, message);
  }
  return { tree, others };
}

/** An error at an item of a list is shown at the list, with the item's place. */
function place(tree: ErrorTree, path: string[], message: string): void {
  const index = path.findIndex((key) => /^\d+$/.test(key));
  if (index > 0) return place(tree, path.slice(0, index), `item ${Number(path[index]) + 1}: ${message}`);
  let node = tree;
  for (const key of path) node = (node[key] ??= {}) as ErrorTree;
  node.__errors = [...(node.__errors ?? []), message];
}
