// The strategies' room lists a saved configuration and opens its figures; a search's ranges are set in its form.
// BASE_URL, TOKEN, CONFIGURATION (the id of a saved one).

import { DESKTOP, api, check, expect, run, signedIn, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, CONFIGURATION] = wanted("BASE_URL", "TOKEN", "CONFIGURATION");

async function strategies(page) {
  const { name } = await api(BASE_URL, TOKEN, `/configurations/${CONFIGURATION}`);
  await page.goto(`${BASE_URL}/strategies`);
  const links = page.getByRole("table", { name: "Saved configurations" }).getByRole("link", { name });
  const saved = links.and(page.locator(`[href$="${CONFIGURATION}"]`));
  await expect("the saved configuration is not listed", saved.waitFor());
  await saved.click();
  await expect("the configuration's page has no figures", page.getByRole("heading", { name: "Figures" }).waitFor());
}

async function ranges(page) {
  await page.goto(`${BASE_URL}/submit/strategy.optimize`);
  await page.getByRole("button", { name: "Add", exact: true }).click();
  const name = page.getByLabel("Name", { exact: true }).last();
  await name.fill("fast");
  await name.blur();
  await page.getByRole("textbox", { name: /^From/ }).fill("5");
  await page.getByText("JSON", { exact: true }).click();
  const config = JSON.parse(await page.getByLabel("Config", { exact: true }).inputValue());
  check(`the range is not in the config: ${JSON.stringify(config.parameters)}`, config.parameters.fast?.low === 5);
}

await run(async (browser) => {
  const page = await signedIn(await browser.newContext({ ...DESKTOP, colorScheme: "light" }), BASE_URL, TOKEN);
  for (const visit of [strategies, ranges]) await visit(page);
  page.assertCalm();
});
