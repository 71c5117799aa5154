// Opens one page, says "open" once it is pushed to and has settled, and stays until its input ends. BASE_URL, TOKEN, PATH_OF_PAGE.

import { DESKTOP, expectPushed, run, signedIn, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, PATH_OF_PAGE] = wanted("BASE_URL", "TOKEN", "PATH_OF_PAGE");
const SETTLE_MS = 3000;

await run(async (browser) => {
  const page = await signedIn(await browser.newContext(DESKTOP), BASE_URL, TOKEN);
  await page.goto(BASE_URL + PATH_OF_PAGE);
  await expectPushed(page);
  await page.waitForTimeout(SETTLE_MS);
  console.log("open");
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
});
