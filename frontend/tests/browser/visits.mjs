// Runs scripts of this folder one after another in one browser, as starting Node and Chromium takes longer than most of them.
// A line of JSON on standard input names each, {script, environment}; one on standard output answers, {error}: the claim that is not
// true, or null. Ends with its input.

import { createInterface } from "node:readline";
import { launch } from "./page.mjs";

let number = 0;

async function visit(script, environment) {
  Object.assign(process.env, environment);
  if (!globalThis.sharedBrowser?.isConnected()) globalThis.sharedBrowser = await launch();
  number += 1; // a module runs once: another address is another module
  try {
    await import(`./${script}.mjs?visit=${number}`);
    return null;
  } catch (error) {
    return error.message;
  } finally {
    for (const name of Object.keys(environment)) delete process.env[name];
    await Promise.all(globalThis.sharedBrowser.contexts().map((context) => context.close()));
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { script, environment } = JSON.parse(line);
  console.log(JSON.stringify({ error: await visit(script, environment) }));
}
await globalThis.sharedBrowser?.close();
