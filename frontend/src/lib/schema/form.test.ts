import { describe, expect, test } from "vitest";
import type { JsonObject } from "@/types/api";
import { bounds, errorTree, formSchema, uiSchema, withoutEmpty } from "./form";

describe("a form from a kind's schema", () => {
  test("an optional field is its own type, without a choice of null", () => {
    const schema: JsonObject = { properties: { k: { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }], default: null, title: "K" } } };
    expect(formSchema(schema)).toEqual({ properties: { k: { type: "integer", minimum: 1, title: "K" } } });
  });

  test("an optional object stays away until it is asked for", () => {
    const schema: JsonObject = {
      properties: { fail_at: { anyOf: [{ $ref: "#/$defs/Fail" }, { type: "null" }], default: null } },
      $defs: { Fail: { type: "object", properties: { step: { type: "integer" }, attempts: { type: "integer", default: 1 } }, required: ["step"] } },
    };
    const form = formSchema(schema);
    expect(form.properties).toMatchObject({ fail_at: { type: "object", properties: { attempts: { type: "integer" } } } });
    expect(JSON.stringify(form.properties)).not.toContain("default");
    expect(uiSchema(form)).toMatchObject({ fail_at: { "ui:enableOptionalDataFieldForType": ["object"] } });
  });

  test("a real choice stays a choice", () => {
    const schema = { anyOf: [{ type: "integer" }, { type: "string" }, { type: "null" }] };
    expect(formSchema(schema)).toEqual(schema);
  });

  test("an input gets the picker of its type, through a reference too, and what may be uploaded for it", () => {
    const upload = { patterns: ["*.safetensors"], folder: true };
    const schema = {
      properties: { activations: { type: "string", "x-input": "activations" }, model: { $ref: "#/$defs/Ref" } },
      $defs: { Ref: { type: "string", "x-input": "model", "x-upload": upload } },
    };
    expect(uiSchema(schema)).toMatchObject({
      activations: { "ui:widget": "artifact", "ui:options": { artifactType: "activations" } },
      model: { "ui:widget": "artifact", "ui:options": { artifactType: "model", upload } },
    });
  });

  test("bounds are told in words", () => {
    expect(bounds({ minimum: 1, maximum: 1024 })).toBe("1 to 1,024");
    expect(bounds({ exclusiveMinimum: 0, maximum: 1 })).toBe("above 0, at most 1");
    expect(bounds({})).toBe("");
  });

  test("fields left empty are not sent", () => {
    expect(withoutEmpty({ a: "", b: null, c: 0, d: { e: "" } })).toEqual({ c: 0, d: {} });
  });

  test("the server's errors land at their fields; those without a field are kept", () => {
    const { tree, others } = errorTree([
      { field: "config.k", message: "must be at least 1" },
      { field: "config.optimizer.lr", message: "must be above 0" },
      { field: "config.layers.1", message: "must be at least 0" },
      { field: "name", message: "too long" },
    ]);
    expect(tree).toEqual({
      k: { __errors: ["must be at least 1"] },
      optimizer: { lr: { __errors: ["must be above 0"] } },
      layers: { __errors: ["item 2: must be at least 0"] },
    });
    expect(others).toEqual(["name: too long"]);
  });
});
