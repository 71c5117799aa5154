// Screenshots of pages against a running server: BASE_URL, TOKEN, OUT_DIR, and paths as arguments. For looking, not a test.

import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";
import { FLAGS } from "./chromium.mjs";

const { BASE_URL, TOKEN, OUT_DIR = "test-results", CHROMIUM_PATH = "/usr/bin/chromium", FULL, VIEWS } = process.env;
const ALL_VIEWS = [
  { name: "light", viewport: { width: 1440, height: 900 }, colorScheme: "light" },
  { name: "dark", viewport: { width: 1440, height: 900 }, colorScheme: "dark" },
  { name: "phone", viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true, hasTouch: true },
];
const views = ALL_VIEWS.filter((view) => !VIEWS || VIEWS.split(",").includes(view.name));

await mkdir(OUT_DIR, { recursive: true });
const browser = await chromium.launch({ executablePath: CHROMIUM_PATH, args: FLAGS });
for (const { name, ...options } of views) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && console.log(name, message.type(), message.text().slice(0, 400)));
  page.on("pageerror", (error) => console.log(name, "pageerror", error.message));
  if (TOKEN) await page.goto(`${BASE_URL}/?token=${TOKEN}`);
  for (const path of process.argv.slice(2)) {
    await page.goto(BASE_URL + path);
    await page.waitForTimeout(1500);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > options.viewport.width) console.log(`${name} ${path}: scrolls sideways (${width} px)`);
    await page.screenshot({ path: `${OUT_DIR}/${path.replaceAll("/", "_").slice(1)}-${name}.png`, fullPage: Boolean(FULL) });
  }
  await context.close();
}
await browser.close();
