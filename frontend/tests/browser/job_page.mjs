// Opens a running job's page as a person would and fails, saying why, if it does not live.
// BASE_URL, TOKEN, JOB_ID, OUT_DIR from the environment; CHROMIUM_PATH where Chromium is not /usr/bin/chromium.
// Screenshots: job-light.png, job-dark.png, job-phone.png.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { FLAGS } from "./chromium.mjs";

const { BASE_URL, TOKEN, JOB_ID, OUT_DIR, CHROMIUM_PATH = "/usr/bin/chromium" } = process.env;
const PATIENCE_MS = 20_000;
const DESKTOP = { viewport: { width: 1440, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const VIEWS = [
  { name: "light", options: { ...DESKTOP, colorScheme: "light" } },
  { name: "dark", options: { ...DESKTOP, colorScheme: "dark" } },
  { name: "phone", options: { ...PHONE, colorScheme: "light" } },
];

/** Waits for what a claim says, or fails with the claim. */
async function expect(claim, promise) {
  await promise.catch((cause) => {
    throw new Error(`${claim}: ${cause.message.split("\n")[0]}`);
  });
}

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
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));

  await page.goto(`${BASE_URL}/jobs/${JOB_ID}?token=${TOKEN}`);
  if (page.url().includes("token=")) throw new Error(`${name}: the token stayed in the address ${page.url().replace(TOKEN, "…")}`);
  await expect(`${name}: no percent on the page`, page.waitForSelector("[data-testid=percent]", { timeout: PATIENCE_MS }));
  await expect(`${name}: the page is not pushed to`, page.waitForSelector("[role=status][data-mode=pushed]", { timeout: PATIENCE_MS }));
  const before = await page.textContent("[data-testid=percent]");
  await expect(`${name}: the percent stayed at ${before}`, page.waitForFunction(percentMoved, before, { timeout: PATIENCE_MS }));
  await expect(`${name}: no chart was drawn`, page.waitForFunction(chartDrawn, null, { timeout: PATIENCE_MS }));
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  if (width > options.viewport.width) throw new Error(`${name}: the page scrolls sideways, ${width} px wide`);
  await page.screenshot({ path: join(OUT_DIR, `job-${name}.png`) });
  if (complaints.length > 0) throw new Error(`${name}: errors in the console:\n${complaints.join("\n")}`);
  await context.close();
}

for (const [name, value] of Object.entries({ BASE_URL, TOKEN, JOB_ID, OUT_DIR })) {
  if (!value) throw new Error(`Set ${name} in the environment.`);
}
await mkdir(OUT_DIR, { recursive: true });
const browser = await chromium.launch({ executablePath: CHROMIUM_PATH, args: FLAGS });
try {
  for (const view of VIEWS) await visit(browser, view);
  console.log(`The page of job ${JOB_ID} lives; screenshots in ${OUT_DIR}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}
