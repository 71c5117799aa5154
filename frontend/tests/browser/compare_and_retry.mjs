// By keyboard, two jobs are ticked and compared; one is run again with a change that is shown before it is sent; a failed one says
// what to do. BASE_URL, TOKEN, IDS (two that ended, named first and second), FAILED_ID, OUT_DIR.

import { join } from "node:path";
import { DESKTOP, api, check, expect, run, shoot, signedIn, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, IDS, FAILED_ID, OUT_DIR] = wanted("BASE_URL", "TOKEN", "IDS", "FAILED_ID", "OUT_DIR");
const [FIRST] = IDS.split(",");

async function compare(page) {
  await page.goto(`${BASE_URL}/trainings`);
  for (const name of ["Compare first", "Compare second"]) {
    await page.getByRole("checkbox", { name, exact: true }).first().focus();
    await page.keyboard.press("Space");
  }
  await page.getByRole("link", { name: "Compare 2" }).focus();
  await page.keyboard.press("Enter");
  await expect("there is no verdict", page.getByTestId("verdict").waitFor());
  const verdict = await page.getByTestId("verdict").textContent();
  check(`the verdict names neither job: ${verdict}`, /first|second/.test(verdict));
  for (const align of ["Step", "Phase"]) {
    await page.getByText(align, { exact: true }).click();
    await expect(`the axis of ${align} is not in the address`, page.waitForURL(new RegExp(`align=${align.toLowerCase()}`)));
  }
  await expect("the metrics are not overlaid", page.getByRole("img", { name: "m0 of 2 jobs" }).waitFor());
  await shoot(page, join(OUT_DIR, "compare.png"), { fullPage: true });
}

async function retryWithChange(page) {
  await page.goto(`${BASE_URL}/jobs/${FIRST}`);
  await page.getByRole("link", { name: "Run again", exact: true }).click();
  await page.getByLabel("Steps", { exact: true }).fill("33");
  const change = page.getByRole("list", { name: "Changes" }).getByRole("listitem");
  await expect("the change is not shown", change.first().waitFor());
  check(`the change shown is ${await change.allTextContents()}`, /^steps\s*\d+.*33$/.test((await change.first().textContent()).trim()) && (await change.count()) === 1);
  await page.getByRole("button", { name: "Run with these changes" }).click();
  await expect("the new job's page is not opened", page.waitForURL((url) => /^\/jobs\/[^/]+$/.test(url.pathname) && !url.pathname.endsWith(FIRST)));
  const job = await api(BASE_URL, TOKEN, `/jobs/${new URL(page.url()).pathname.split("/").at(-1)}`);
  check(`the new job has steps ${job.config.steps}, retry of ${job.retry_of}`, job.config.steps === 33 && job.retry_of === FIRST);
}

async function failureWithAdvice(page) {
  await page.goto(`${BASE_URL}/jobs/${FAILED_ID}`);
  const told = page.getByRole("alert");
  await expect("the failure is not told", told.getByText("Out of memory").first().waitFor());
  check("no advice is given", /smaller/.test(await told.textContent()));
  await shoot(page, join(OUT_DIR, "job-failed.png"));
}

await run(async (browser) => {
  const page = await signedIn(await browser.newContext(DESKTOP), BASE_URL, TOKEN);
  await compare(page);
  await retryWithChange(page);
  await failureWithAdvice(page);
  page.assertCalm();
});
