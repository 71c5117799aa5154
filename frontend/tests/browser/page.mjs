// What the scripts of the browser tests share. Each opens the real dashboard as a person would and fails, saying which claim is
// not true. From the environment: BASE_URL, TOKEN, CHROMIUM_PATH (where Chromium is not /usr/bin/chromium), and what a script names.

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { chromium } from "playwright-core";
import { FLAGS } from "./chromium.mjs";

const { CHROMIUM_PATH = "/usr/bin/chromium" } = process.env;
export const PATIENCE_MS = 40_000;
export const DESKTOP = { viewport: { width: 1440, height: 900 } };

/** Values of the environment that a script cannot do without. */
export function wanted(...names) {
  const missing = names.filter((name) => !process.env[name]);
  if (missing.length > 0) throw new Error(`Set ${missing.join(", ")} in the environment.`);
  return names.map((name) => process.env[name]);
}

/** Waits for what a claim says, or fails with the claim. */
export async function expect(claim, promise) {
  return promise.catch((cause) => {
    throw new Error(`${claim}: ${cause.message.split("\n")[0]}`);
  });
}

/** Waits until `holds` is true in the page. Looks five times a second; Playwright would at every frame. */
export function until(page, holds, argument) {
  return page.waitForFunction(holds, argument, { polling: 200 });
}

export function check(claim, holds) {
  if (!holds) throw new Error(claim);
}

export function launch() {
  return chromium.launch({ executablePath: CHROMIUM_PATH, args: FLAGS });
}

/** Runs the script's body with a browser; its failure is told in one line, and no browser stays. Within `visits.mjs`: with its browser. */
export async function run(body) {
  if (globalThis.sharedBrowser) return body(globalThis.sharedBrowser);
  const browser = await launch();
  try {
    await body(browser);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

/** A page that is signed in, with what its console complains of. An answer of 4xx is told there too: `refusals` says how many are due. */
export async function signedIn(context, base, token, { refusals = 0 } = {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(`${base}/?token=${token}`);
  await expectPushed(page);
  page.assertCalm = () => {
    const refused = complaints.filter((text) => /status of 4\d\d/.test(text));
    check(`the console complains:\n${complaints.join("\n")}`, complaints.length === refused.length && refused.length <= refusals);
  };
  return page;
}

export async function expectPushed(page) {
  await expect("the page is not pushed to", page.waitForSelector("[role=status][data-mode=pushed]"));
}

/** The API as a script sees it: what the page's claims are held against. */
export async function api(base, token, path, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const answer = await fetch(`${base}/api/v1${path}`, { headers, method: body ? "POST" : "GET", body: body && JSON.stringify(body) });
  return answer.json();
}

/** A badge beside the title tells the state of the job whose page it is. */
export async function expectState(page, state) {
  await expect(`the page does not say ${state}`, page.waitForSelector(`header [role=img][aria-label=${state}]`));
}

export async function shoot(page, path, options = {}) {
  await mkdir(dirname(path), { recursive: true });
  await page.screenshot({ path, ...options });
}
