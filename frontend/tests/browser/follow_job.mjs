// Follows a job from the list of jobs to its end and tells, as a line of JSON for each revision that its page showed, what it said
// then. BASE_URL, TOKEN. Says `"ready"` once the list is open; the job's id then comes on standard input.

import { createInterface } from "node:readline";
import { DESKTOP, expect, expectPushed, expectState, run, signedIn, wanted } from "./page.mjs";

const [BASE_URL, TOKEN] = wanted("BASE_URL", "TOKEN");

const say = (value) => console.log(JSON.stringify(value));

async function firstLine(stream) {
  for await (const line of createInterface({ input: stream })) return line;
  throw new Error("No id of a job came.");
}

/** In the page: what stands there together is told once for each revision. */
function tellEachRevision() {
  const text = (within, selector) => within.querySelector(selector)?.textContent;
  let told = null;
  const look = () => {
    const progress = document.querySelector("[data-revision]");
    if (!progress || progress.dataset.revision === told) return;
    told = progress.dataset.revision;
    window.tell({
      revision: Number(told),
      state: document.querySelector("main header [role=img]").getAttribute("aria-label"),
      percent: text(progress, "[data-testid=percent]"),
      counters: text(progress, "[data-testid=counters]"),
      eta: text(progress, "[data-testid=eta] .figures > :first-child"),
    });
  };
  new window.MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
}

await run(async (browser) => {
  const page = await signedIn(await browser.newContext({ ...DESKTOP, timezoneId: "UTC" }), BASE_URL, TOKEN);
  await page.goto(`${BASE_URL}/trainings`);
  await expectPushed(page);
  await page.exposeFunction("tell", say);
  await page.evaluate(tellEachRevision);
  say("ready");
  const id = await firstLine(process.stdin);
  await expect("a new job does not appear in the list", page.locator(`a[href="/jobs/${id}"]`).click());
  await expectState(page, "completed");
  await page.evaluate(() => document.readyState); // comes after all that was told
  page.assertCalm();
});
