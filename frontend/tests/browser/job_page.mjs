// Opens a running job's page as a person would and fails, saying why, if it does not live.
// BASE_URL, TOKEN, JOB_ID, OUT_DIR. Screenshots: job-light.png, job-dark.png, job-phone.png.

import { join } from "node:path";
import { DESKTOP, check, expect, expectPushed, run, shoot, signedIn, until, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, JOB_ID, OUT_DIR] = wanted("BASE_URL", "TOKEN", "JOB_ID", "OUT_DIR");
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const VIEWS = [
  { name: "light", options: { ...DESKTOP, colorScheme: "light" } },
  { name: "dark", options: { ...DESKTOP, colorScheme: "dark" } },
  { name: "phone", options: { ...PHONE, colorScheme: "light" } },
];

function percentMoved(from) {
  return document.querySelector("[data-testid=percent]")?.textContent !== from;
}

/** A canvas with something drawn in the accent, not the axes alone: many distinct columns are inked. */
function chartDrawn() {
  const canvas = document.querySelector("figure canvas");
  if (!canvas || canvas.width === 0) return false;
  const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const inked = new Set();
  for (let i = 0; i < data.length; i += 4) {
    const isAccent = data[i + 3] > 128 && data[i + 2] - data[i] > 40;
    if (isAccent) inked.add((i / 4) % width);
  }
  return inked.size > 20;
}

async function visit(browser, { name, options }) {
  const context = await browser.newContext(options);
  const page = await signedIn(context, BASE_URL, TOKEN);
  check(`${name}: the token stayed in the address`, !page.url().includes("token="));
  await page.goto(`${BASE_URL}/jobs/${JOB_ID}`);
  await expectPushed(page);
  await expect(`${name}: no percent on the page`, page.waitForSelector("[data-testid=percent]"));
  const before = await page.textContent("[data-testid=percent]");
  await expect(`${name}: the percent stayed at ${before}`, until(page, percentMoved, before));
  await expect(`${name}: no chart was drawn`, until(page, chartDrawn));
  await expect(`${name}: tracking's cost is not told`, page.getByText(/^tracking .* µs a call · .* % of the step/).waitFor());
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  check(`${name}: the page scrolls sideways, ${width} px wide`, width <= options.viewport.width);
  await shoot(page, join(OUT_DIR, `job-${name}.png`));
  page.assertCalm();
  await context.close();
}

await run(async (browser) => {
  for (const view of VIEWS) await visit(browser, view);
});
