// Finds what an import names, for the linter's import direction: `@/x` is src/x, anything relative lies beside its file.
// eslint-import-resolver-typescript was passed over: its native bindings leave the lock incomplete, and `npm ci` refuses.
const { existsSync, statSync } = require("node:fs");
const { dirname, join } = require("node:path");

const ENDINGS = ["", ".ts", ".tsx", ".css", ".json", "/index.ts", "/index.tsx"];

exports.interfaceVersion = 2;

exports.resolve = (source, file) => {
  const inside = source.startsWith("@/") ? join(__dirname, "src", source.slice(2)) : join(dirname(file), source);
  if (!source.startsWith("@/") && !source.startsWith(".")) return { found: false };
  const path = ENDINGS.map((ending) => inside + ending).find((each) => existsSync(each) && statSync(each).isFile());
  return path ? { found: true, path } : { found: false };
};
