// Pause, resume, cancel by button, from the job's page and from the page of operations. BASE_URL, TOKEN, JOB_ID, OTHER_ID.

import { DESKTOP, check, expect, expectState, run, signedIn, until, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, JOB_ID, OTHER_ID] = wanted("BASE_URL", "TOKEN", "JOB_ID", "OTHER_ID");

await run(async (browser) => {
  const page = await signedIn(await browser.newContext(DESKTOP), BASE_URL, TOKEN);
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  await page.goto(`${BASE_URL}/jobs/${JOB_ID}`);
  await expectState(page, "running");
  await press("Pause");
  await expectState(page, "paused");
  const held = await page.textContent("[data-testid=percent]");
  await press("Resume");
  await expectState(page, "running");
  await expect("the resumed job does not move", until(page, (from) => document.querySelector("[data-testid=percent]")?.textContent !== from, held));
  await press("Cancel");
  await expectState(page, "cancelled");
  check("a cancelled job can be paused", (await page.getByRole("button", { name: "Pause" }).count()) === 0);

  await page.goto(`${BASE_URL}/operations`);
  const row = page.locator(`[data-testid=operation][data-job="${OTHER_ID}"]`);
  await expect("the running job does not stand at a host", row.waitFor());
  await row.getByRole("button", { name: /^Cancel/ }).click();
  await expect("the cancelled job does not offer to run again", row.getByRole("link", { name: /^Run again/ }).waitFor());
  page.assertCalm();
});
