// One browser, two installations on one host: both stay signed in, each shows its own jobs. BASE_URL, TOKEN, OTHER_URL, OTHER_TOKEN.

import { DESKTOP, check, expect, run, signedIn, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, OTHER_URL, OTHER_TOKEN] = wanted("BASE_URL", "TOKEN", "OTHER_URL", "OTHER_TOKEN");

async function expectJobs(page, own, others) {
  await page.reload();
  await expect(`${page.url()} does not show its own job`, page.getByText(own, { exact: true }).first().waitFor());
  check(`${page.url()} shows the other installation's job`, (await page.getByText(others, { exact: true }).count()) === 0);
}

await run(async (browser) => {
  const context = await browser.newContext(DESKTOP);
  const one = await signedIn(context, BASE_URL, TOKEN);
  const two = await signedIn(context, OTHER_URL, OTHER_TOKEN);
  for (let round = 0; round < 2; round += 1) {
    await expectJobs(one, "job of the one", "job of the other");
    await expectJobs(two, "job of the other", "job of the one");
  }
  const cookies = await context.cookies([BASE_URL, OTHER_URL]);
  check(`both installations use one cookie: ${cookies.map((cookie) => cookie.name)}`, new Set(cookies.map((cookie) => cookie.name)).size === 2);
  check("a cookie can be read by scripts or sent by other sites", cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === "Strict"));
  one.assertCalm();
  two.assertCalm();
});
