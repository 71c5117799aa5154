// The job's process is killed while its page is open: the curves go on, and the mark says from where.
// BASE_URL, TOKEN, JOB_ID, PROCESS_GROUP, OUT_DIR.

import { join } from "node:path";
import { check, expect, run, shoot, signedIn, until, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, JOB_ID, PROCESS_GROUP, OUT_DIR] = wanted("BASE_URL", "TOKEN", "JOB_ID", "PROCESS_GROUP", "OUT_DIR");
const RECOVERY_MS = 30_000;

const stepOf = async (page) => Number((await page.getByText(/^Step [\d,]+/).first().textContent()).match(/Step ([\d,]+)/)[1].replaceAll(",", ""));
const rule = (page, chart) => page.locator("figure", { has: page.getByRole("img", { name: chart }) }).getByTestId("rule");

await run(async (browser) => {
  const page = await signedIn(await browser.newContext({ viewport: { width: 1440, height: 1060 } }), BASE_URL, TOKEN);
  await page.goto(`${BASE_URL}/jobs/${JOB_ID}`);
  await expect("no curve is drawn", page.locator("figure canvas").first().waitFor());
  check("a first attempt is marked as resumed", (await page.getByTestId("rule").count()) === 0);
  const killedAt = await stepOf(page);
  process.kill(-Number(PROCESS_GROUP), "SIGKILL");

  await expect("the curve is not marked where it went on", rule(page, /^m0,/).waitFor({ timeout: RECOVERY_MS }));
  const label = await rule(page, /^m0,/).textContent();
  check(`the mark says ${label}`, /^attempt 2 from step [\d,]+$/.test(label));
  await expect("the course is not marked", rule(page, /^percent over time/).waitFor());
  const latest = await page.getByRole("img", { name: /^m0,/ }).getAttribute("aria-label");
  const goesOn = ([step, told]) => {
    const now = Number(document.body.innerText.match(/Step ([\d,]+)/)?.[1].replaceAll(",", "") ?? 0);
    return now > step && document.querySelector(`[role=img][aria-label^="m0,"]`)?.getAttribute("aria-label") !== told;
  };
  await expect("the curve does not go on", until(page, goesOn, [killedAt, latest]));
  await shoot(page, join(OUT_DIR, "job-resumed.png"));
  page.assertCalm();
});
