// A wrong config is refused in the form: the message names the field, and nothing is queued. BASE_URL, TOKEN.

import { DESKTOP, api, check, expect, run, signedIn, wanted } from "./page.mjs";

const [BASE_URL, TOKEN] = wanted("BASE_URL", "TOKEN");
const GOOD = { activations: "artifact:nosuchthing1", k: 8 };

async function refused(page, field, words) {
  const item = page.locator("[role=alert] li", { hasText: field });
  await expect(`no message names ${field}`, item.first().waitFor());
  const text = await item.first().textContent();
  check(`the message about ${field} says only: ${text}`, words.test(text));
}

async function pasteConfig(page, config) {
  await page.goto(`${BASE_URL}/submit/sae.train`);
  await page.getByText("JSON", { exact: true }).click();
  await page.getByLabel("Config", { exact: true }).fill(JSON.stringify(config));
  await page.getByRole("button", { name: "Start" }).click();
}

await run(async (browser) => {
  const context = await browser.newContext(DESKTOP);
  const page = await signedIn(context, BASE_URL, TOKEN, { refusals: 4 });
  const before = await api(BASE_URL, TOKEN, "/jobs?kind=sae.train");

  await page.goto(`${BASE_URL}/submit/sae.train`);
  await page.getByLabel("k", { exact: true }).fill("-1");
  await page.getByRole("button", { name: "Start" }).click();
  await refused(page, "k", /1/);
  const atField = page.locator(".mantine-InputWrapper-root", { has: page.getByLabel("k", { exact: true }) });
  check("the error does not stand at the field", /1/.test(await atField.locator(".mantine-InputWrapper-error").textContent()));

  await pasteConfig(page, { ...GOOD, k: -1 });
  await refused(page, "k", /1/);
  await pasteConfig(page, { ...GOOD, kk: 8 });
  await refused(page, "kk", /\w/);
  await pasteConfig(page, { k: 8 });
  await refused(page, "activations", /stored activations, or a model/);
  await pasteConfig(page, GOOD);
  await refused(page, "activations", /nosuchthing1/);

  check("a refused job left the form", new URL(page.url()).pathname === "/submit/sae.train");
  const after = await api(BASE_URL, TOKEN, "/jobs?kind=sae.train");
  check("a refused job was queued", JSON.stringify(after.items.map((job) => job.id)) === JSON.stringify(before.items.map((job) => job.id)));
  page.assertCalm();
});
