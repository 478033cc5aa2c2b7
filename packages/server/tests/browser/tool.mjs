// What the tests in a browser share: the browser, checks of accessibility, pictures, and requests to the API.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The sizes and colours in which pages are looked at. */
export const LOOKS = [
  { name: "desktop-light", width: 1280, height: 900, scheme: "light" },
  { name: "desktop-dark", width: 1280, height: 900, scheme: "dark" },
  { name: "phone-light", width: 390, height: 844, scheme: "light" },
  { name: "phone-dark", width: 390, height: 844, scheme: "dark" },
];

export function check(holds, text) {
  if (!holds) throw new Error(text);
}

export async function open() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(`${page.url()}: ${error}`));
  page.on("console", (line) => { if (line.type() === "error") faults.push(`${page.url()}: ${line.text()}`); });
  return { browser, page, faults };
}

/** Fails if the page has violations of WCAG 2 levels A and AA, or is wider than its window. */
export async function examine(page, what) {
  const found = await page.evaluate(`${axe}; axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }).then((found) =>
    found.violations.map((one) => one.id + ": " + one.nodes.map((node) => node.html.slice(0, 200) + " " + node.failureSummary).slice(0, 3).join(" | ")))`);
  check(found.length === 0, `${what}: ${found.join("\n")}`);
  const over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  check(over <= 0, `${what}: ${over} pixels wider than the window`);
}

/** Looks at the page in every size and colour: accessibility, overflow, and a picture if a folder is given. */
export async function look(page, what, folder) {
  for (const { name, width, height, scheme } of LOOKS) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: scheme });
    await examine(page, `${what}, ${name}`);
    if (folder) await page.screenshot({ path: `${folder}/${what}-${name}.png`, fullPage: true });
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
}
