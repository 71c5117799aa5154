import { join } from "node:path";
import js from "@eslint/js";
import boundaries from "eslint-plugin-boundaries";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

const SHARED = ["components", "lib", "types", "config"];

/** Imports point one way: components, lib, types, config -> features -> app. No feature imports another. */
const direction = {
  default: "disallow",
  message: "{{from.element.type}} must not import {{to.element.type}}: imports point from shared parts to features to app",
  policies: [
    { from: { element: { type: "app" } }, allow: { to: { element: { types: { anyOf: ["app", "feature", ...SHARED] } } } } },
    { from: { element: { type: "feature" } }, allow: { to: { element: { types: { anyOf: SHARED } } } } },
    {
      from: { element: { type: "feature" } },
      allow: { to: { element: { type: "feature", captured: { name: "{{from.element.captured.name}}" } } } },
    },
    { from: { element: { type: "components" } }, allow: { to: { element: { types: { anyOf: SHARED } } } } },
    { from: { element: { type: "lib" } }, allow: { to: { element: { types: { anyOf: ["lib", "types", "config"] } } } } },
    { from: { element: { type: "config" } }, allow: { to: { element: { types: { anyOf: ["config", "types"] } } } } },
    { from: { element: { type: "types" } }, allow: { to: { element: { type: "types" } } } },
    { allow: { to: { module: { origin: ["external", "core"] } } } },
  ],
};

export default tseslint.config(
  { ignores: ["dist", "test-results", "src/types/openapi.ts", "eslint-resolver.cjs"] },
  js.configs.recommended,
  tseslint.configs.recommended,
  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: { boundaries, "react-hooks": reactHooks },
    settings: {
      "import/resolver": { [join(import.meta.dirname, "eslint-resolver.cjs")]: {} },
      "boundaries/elements": [
        { type: "app", pattern: "src/app" },
        { type: "feature", pattern: "src/features/*", capture: ["name"] },
        { type: "components", pattern: "src/components" },
        { type: "lib", pattern: "src/lib" },
        { type: "types", pattern: "src/types" },
        { type: "config", pattern: "src/config" },
      ],
    },
    rules: {
      ...reactHooks.configs["recommended-latest"].rules,
      "boundaries/dependencies": ["error", direction],
      "boundaries/no-unknown-files": "error",
      "no-console": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["tests/**/*.mjs", "public/*.js"],
    languageOptions: {
      globals: Object.fromEntries(
        ["process", "console", "crypto", "URL", "setTimeout", "setInterval", "clearInterval", "Buffer", "document", "window", "location", "localStorage", "matchMedia", "getComputedStyle", "performance", "fetch", "AbortController", "URLSearchParams"].map((name) => [name, "readonly"]),
      ),
    },
  },
);
