// The feature browser as a person uses it: steps by keyboard, searches, labels; one pane at a time on a phone.
// BASE_URL, TOKEN, INDEX (the id of a feature index of two SAEs).

import { DESKTOP, api, check, expect, run, signedIn, until, wanted } from "./page.mjs";

const [BASE_URL, TOKEN, INDEX] = wanted("BASE_URL", "TOKEN", "INDEX");
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const PAGE = `${BASE_URL}/features/${INDEX}`;

const chosen = (page) => new URL(page.url()).searchParams.get("feature");
const rows = (page) => page.getByTestId("feature");

async function steps(page) {
  await page.goto(PAGE);
  await expect("no feature is listed", rows(page).first().waitFor());
  const shown = await rows(page).count();
  check(`all features are in the page at once: ${shown}`, shown < 100);
  await page.keyboard.press("j");
  await expect("j chooses no feature", page.getByTestId("feature-detail").waitFor());
  const first = chosen(page);
  await page.keyboard.press("j");
  await expect("j does not step on", until(page, (held) => new URL(location.href).searchParams.get("feature") !== held, first));
  await page.keyboard.press("k");
  await expect("k does not step back", until(page, (held) => new URL(location.href).searchParams.get("feature") === held, first));
  await expect("no example is shown", page.getByRole("heading", { name: "Strongest examples" }).waitFor());
  const strengths = await page.locator("mark").evaluateAll((marks) => marks.map((mark) => Number.parseInt(mark.style.getPropertyValue("--strength"))));
  check("activations are not told apart by their shade", Math.max(...strengths) === 55 && Math.min(...strengths) < 30);
}

async function searches(page) {
  await page.getByRole("searchbox", { name: "Search" }).fill("violin");
  await expect("the search does not narrow the list", until(page, () => location.search.includes("q=violin")));
  const { total } = await api(BASE_URL, TOKEN, `/artifacts/${INDEX}/features?sae=layer3.resid_post&q=violin`);
  await expect(`the list does not say that ${total} features were found`, page.getByRole("search").getByText(String(total), { exact: true }).waitFor());
  await page.reload();
  await expect("a reload forgets the search", until(page, () => document.querySelector("[type=search]")?.value === "violin"));
}

async function labels(page) {
  await rows(page).first().click();
  const label = page.getByRole("textbox", { name: "Label" });
  await label.fill("strings and bows");
  // the page shows a label before the server has it
  const kept = page.waitForResponse((response) => response.request().method() === "PUT" && response.url().endsWith("/label"));
  await label.press("Enter");
  await expect("the list does not show the label", rows(page).getByText("strings and bows").waitFor());
  await expect("the label is not said to be by hand", page.getByText(/^by hand/).waitFor());
  await expect("the label is not sent", kept);
  const { items } = await api(BASE_URL, TOKEN, `/artifacts/${INDEX}/features?sae=layer3.resid_post&sort=label`);
  check("the label was not kept", items.length === 1 && String(items[0].feature) === chosen(page) && items[0].label.label === "strings and bows");
}

async function phone(page) {
  await page.goto(PAGE);
  await rows(page).first().click();
  await expect("a chosen feature does not open", page.getByTestId("feature-detail").waitFor());
  check("the list stays beside the feature", !(await rows(page).first().isVisible()));
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  check(`the page scrolls sideways, ${width} px wide`, width <= PHONE.viewport.width);
  await page.getByRole("button", { name: "List" }).click();
  await expect("there is no way back to the list", rows(page).first().waitFor());
}

await run(async (browser) => {
  const page = await signedIn(await browser.newContext({ ...DESKTOP, colorScheme: "dark" }), BASE_URL, TOKEN);
  for (const visit of [steps, searches, labels]) await visit(page);
  page.assertCalm();
  const small = await signedIn(await browser.newContext({ ...PHONE, colorScheme: "light" }), BASE_URL, TOKEN);
  await phone(small);
  small.assertCalm();
});
