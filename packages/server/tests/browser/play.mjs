// The playground in a browser: node play.mjs URL OR FILE [FOLDER OF PICTURES]
import { check, look, open } from "./tool.mjs";

const [place, folder] = process.argv.slice(2);
const { browser, page, faults } = await open();
const began = Date.now();
await page.goto(place);
const result = page.locator("#result");
await result.filter({ hasText: /succeeded after/ }).waitFor();
console.log(`the first simulation was seen after ${Date.now() - began} ms`);
check((await page.locator("#graph .s-succeeded").count()) > 3, "the graph has no colours");
await look(page, "playground", folder);

// A mistake is shown as one types, with line and column, and the click on it selects its place.
const text = page.locator("#text");
const good = await text.inputValue();
await text.fill(good.replace("depends_on: draft", "depends_on: drfat"));
await page.getByText(/line 10, column \d+: .*drfat/).click();
check((await text.evaluate((box) => box.value.slice(0, box.selectionStart).split("\n").length)) === 10, "the mistake was not selected");
await text.fill(good);
await page.getByText(/line \d+, column/).waitFor({ state: "detached" });
await result.filter({ hasText: /succeeded after/ }).waitFor();

// Durations and failures change the run.
const settle = async (pattern) => result.filter({ hasText: pattern }).waitFor();
await page.getByLabel("Failures of research in percent").fill("100");
await settle(/^failed after/);
await page.getByLabel("Failures of research in percent").fill("0");
await settle(/^succeeded after/);
for (const bound of ["Shortest", "Longest"]) await page.getByLabel(`${bound} duration of research in seconds`).fill("1000");
await settle(/^succeeded after 1\d\d\d\./);
await page.getByLabel("Slots of researchers").fill("1");
await settle(/^succeeded after 2\d\d\d\./);
await page.getByLabel("Slots of researchers").fill("0");
await settle(/^waits after .*research/);
await page.getByLabel("Slots of researchers").fill("2");
await settle(/^succeeded after 1\d\d\d\./);

// Back in time: the graph is that of the event, and a crash there changes nothing.
const before = await result.textContent();
const time = page.locator("#time");
const all = Number(await time.getAttribute("max"));
await time.fill(String(Math.floor(all / 2)));
await page.locator("#at").filter({ hasText: `event ${Math.floor(all / 2)} of` }).waitFor();
check((await page.locator("#graph .s-succeeded").count()) >= 1 && (await page.locator("#graph .s-running, #graph .box:not([class*='s-'])").count()) > 0, "the graph is not that of the event");
await time.focus();
await page.keyboard.press("ArrowLeft");
await page.locator("#at").filter({ hasText: `event ${Math.floor(all / 2) - 1} of` }).waitFor();
await page.getByRole("button", { name: "Crash the engine here" }).click();
await settle(/the engine crashed after/);
const after = await result.textContent();
check(after.startsWith(before), `with the crash: ${after}; without: ${before}`);
await look(page, "playground-crash", folder);

// Whatever is typed, there is an answer.
for (const bad of ["", "[", "name: x\ntasks: 3", "a: &a [*a]", "\u0000", "name: x\ntasks: [{id: a, repeat: {while: 'true', task: a}}]", "x".repeat(200_000)]) {
  await text.fill(bad);
  await page.locator("#mistakes button").first().waitFor();
}
await browser.close();
check(faults.length === 0, faults.join("\n"));
