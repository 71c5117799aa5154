// System, Operations and a job's result show what there is, in light theme.
// BASE_URL, TOKEN, JOB_ID (it runs), MADE_ID (a job that made a dataset of documents).

import { DESKTOP, api, check, expect, run, signedIn, until, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, JOB_ID, MADE_ID] = wanted("BASE_URL", "TOKEN", "JOB_ID", "MADE_ID");

/** A line is drawn in some chart: pixels with a colour, which axes and text have not. */
function allDrawn() {
  const isColoured = (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 128 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 40) return true;
    }
    return false;
  };
  const canvases = [...document.querySelectorAll("[role=img] canvas")];
  return canvases.length > 0 && canvases.some(isColoured);
}

async function system(page) {
  const { items } = await api(BASE_URL, TOKEN, "/system/hosts");
  await page.goto(`${BASE_URL}/system`);
  await expect("the host is not on the System page", page.getByRole("heading", { name: items[0].name }).waitFor());
  await expect("no cores are shown", page.getByRole("img", { name: /core 0 \d+ %/ }).waitFor());
  await expect("the last hour is not drawn", until(page, allDrawn));
  const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  check(`the light theme is dark: ${background}`, background.match(/\d+/g).slice(0, 3).every((part) => Number(part) > 200));
}

async function operations(page) {
  await page.goto(`${BASE_URL}/operations`);
  await expect("the running job is not among the operations", page.locator(`[data-testid=operation][data-job="${JOB_ID}"]`).waitFor());
  await expect("the queues are not shown", page.getByRole("heading", { name: "Queues" }).waitFor());
}

async function result(page) {
  const { items } = await api(BASE_URL, TOKEN, `/artifacts?job_id=${MADE_ID}`);
  const { documents } = items[0].meta;
  await page.goto(`${BASE_URL}/jobs/${MADE_ID}`);
  await expect("the job's page shows no result", page.getByRole("heading", { name: "Result" }).waitFor());
  const told = page.locator("dl").filter({ hasText: "documents" }).getByText(String(documents), { exact: true });
  await expect(`the result does not tell its ${documents} documents`, told.first().waitFor());
}

await run(async (browser) => {
  const page = await signedIn(await browser.newContext({ ...DESKTOP, colorScheme: "light" }), BASE_URL, TOKEN);
  for (const visit of [system, operations, result]) await visit(page);
  page.assertCalm();
});
