// The pages of `counterpoint serve` in a browser: node pages.mjs URL [FOLDER OF PICTURES]
// The tokens are those of tests/serve.rs. Prints figures; ends with an error if something is not as it should be.
import { check, look, open } from "./tool.mjs";

const [site, folder] = process.argv.slice(2);
const api = async (token, method, path, body) => {
  const answer = await fetch(site + path, {
    method, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  check(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : null;
};

// An agent that performs one attempt at a time, when the test says so.
let number = 0;
const say = (body) => api("t-7", "POST", "/v1/messages?wait=20", { v: 1, id: `7-${++number}`, body });
const registered = await say({ register: { agent: { id: "7", name: "worker 7", skills: { draft: 1, print: 1 }, capacity: 2 } } });
const by = registered[0].body.registered.by;
const perform = async (verdict) => {
  for (;;) {
    const messages = await say({ poll: { by, most: 1 } });
    const assigned = messages.map((message) => message.body.assign).filter(Boolean).pop();
    if (!assigned) continue;
    await say({ accept: { by, attempt: assigned.attempt } });
    await say({ result: { by, attempt: assigned.attempt, verdict } });
    return;
  }
};

await api("t-ops", "POST", "/v1/workflows", {
  name: "article", inputs: { title: { type: "string", required: true } },
  tasks: [
    { id: "draft", inputs: { title: "${inputs.title}" } },
    { id: "review", depends_on: "draft", race: [{ name: "verdict", decision: { role: "editor", options: ["publish", "reject"] } }] },
    { id: "print", depends_on: { task: "review", case: "publish" }, inputs: "${draft.output}" },
  ],
  outputs: "${print.output}",
});

const { browser, page, faults } = await open();
await page.goto(site);
await look(page, "login", folder);
await page.getByLabel("Token").fill("t-ops");
await page.keyboard.press("Enter");
await page.waitForURL("**/runs");

// A run is started on the page.
await page.getByText("Start a run").click();
await page.getByLabel("Key").last().fill("spring issue");
await page.getByLabel("Input").fill('{"title": "<b>Tides</b>"}');
await page.getByRole("button", { name: "Start" }).click();
await page.waitForURL("**/runs/*");
const run = page.url();
await page.getByText("review: depends").or(page.getByText("draft:")).first().waitFor();

// It changes without a reload: from the agent's answer to the eye of the reader.
await page.evaluate("window.untouched = true");
await perform({ succeeded: { output: { words: 900, text: "A text about tides. ".repeat(20) } } });
const answered = Date.now();
await page.getByRole("button", { name: "publish" }).waitFor();
const seen = Date.now() - answered;
check(seen < 1_000, `the change was seen after ${seen} ms`);
check(await page.evaluate("window.untouched"), "the page was reloaded");
// The colour of a node that has succeeded.
await page.waitForFunction(() => {
  const box = document.querySelector(".cpw .s-succeeded");
  return box && getComputedStyle(box).fill === "rgb(217, 242, 223)";
});
await look(page, "run", folder);

// What is typed is not lost when something else changes.
await page.getByLabel("Note").fill("well done");
const id = run.split("/").pop();
await api("t-ops", "POST", "/v1/tasks", { id: "900", kind: "print", payload: { page: 1 }, policy: { retry: { attempts: 1, base: "1ms", cap: "1ms" } } });
await perform({ failed: { failure: { kind: "transient", message: "out of paper" } } });
check(await page.getByLabel("Note").inputValue() === "well done", "the note was lost");

// A dry run of a reset, by keyboard alone; nothing is changed.
await page.getByLabel("Reset the run to").focus();
await page.keyboard.press("Tab");
await page.keyboard.press("Space");
await page.keyboard.press("Tab");
await page.keyboard.type("a trial");
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
await page.getByText("Nothing has been changed yet").waitFor();
check((await page.locator("ol").textContent()).includes("is reset"), "the reset is not among its consequences");
check(await page.getByText("was lost").count() === 0, "a timer fired in a dry run");
await look(page, "dry-run", folder);
await page.getByText("Back to the run").click();

// A person approves.
await page.getByRole("button", { name: "publish" }).click();
await page.getByText("print:").first().waitFor();
await perform({ succeeded: { output: "printed" } });
await page.locator(".state", { hasText: "succeeded" }).waitFor();
await look(page, "run-ended", folder);

// A dead letter is replayed, and another one discarded.
await page.getByRole("link", { name: "Dead letters" }).click();
await page.getByText("out of paper").waitFor();
await look(page, "dead-letters", folder);
await page.getByRole("button", { name: /^Replay/ }).click();
await page.getByText("None").waitFor();
await perform({ failed: { failure: { kind: "transient", message: "still no paper" } } });
await page.getByText("still no paper").waitFor();
await page.getByRole("button", { name: /^Discard/ }).click();
await page.getByText("None").waitFor();

// A second run is cancelled.
await page.goto(`${site}/runs`);
await page.getByText("Start a run").click();
await page.getByLabel("Input").fill('{"title": "Winds"}');
await page.getByRole("button", { name: "Start" }).click();
await page.waitForURL("**/runs/*");
await page.getByRole("form", { name: "Cancel" }).getByLabel("Reason").fill("no room in this issue");
await page.getByRole("button", { name: "Cancel the run" }).click();
await page.getByText("no room in this issue").first().waitFor();

// A schedule is made, triggered and paused.
await page.getByRole("link", { name: "Schedules" }).click();
await page.getByText("New schedule").click();
await page.getByLabel("Name").fill("nightly");
await page.getByLabel("Cron expression").fill("0 3 * * *");
await page.getByLabel("Input").fill('{"title": "Night"}');
await page.getByRole("button", { name: "Create" }).click();
await page.getByRole("button", { name: "Trigger nightly" }).click();
await page.getByText("1 fired").waitFor();
await look(page, "schedules", folder);
await page.getByRole("button", { name: "Pause nightly" }).click();
await page.getByText("paused: by hand").waitFor();

await api("t-ops", "POST", "/v1/tasks", { id: "901", kind: "bind" });
for (const [name, link] of [["runs", "Runs"], ["agents", "Agents"], ["queues", "Queues"], ["alerts", "Alerts"]]) {
  await page.getByRole("link", { name: link, exact: true }).click();
  await page.getByRole("heading", { level: 1, name: link }).waitFor();
  await look(page, name, folder);
}
check(await page.locator("b").count() === 0, "markup of an input reached the page");
await page.goto(run);
check(await page.locator("b").count() === 0, "markup of an input reached the page");

// Without scripts everything can be read.
const still = await (await browser.newContext({ javaScriptEnabled: false, storageState: await page.context().storageState() })).newPage();
await still.goto(`${site}/runs/${id}`);
check((await still.locator("svg").count()) >= 2 && (await still.getByText("succeeded").count()) > 0, "it cannot be read without scripts");

await browser.close();
check(faults.length === 0, faults.join("\n"));
console.log(`a change was seen after ${seen} ms`);
