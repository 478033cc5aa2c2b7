// The first ten minutes of a stranger, as the README of the program has them: node first.mjs PROGRAM EXAMPLES [FOLDER OF PICTURES]
// A file is run, killed and continued; a server is started, killed and continued; a person approves on the page. Prints the time of
// each step; ends with an error if something is not as it should be.
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, look, open } from "./tool.mjs";

const [program, examples, pictures] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "counterpoint-first-"));
cpSync(join(examples, "etl"), join(folder, "etl"), { recursive: true });
cpSync(join(examples, "research"), join(folder, "research"), { recursive: true });
for (const left of ["etl/.counterpoint", "etl/warehouse", "etl/quarantine", "research/.counterpoint"]) {
  rmSync(join(folder, left), { recursive: true, force: true });
}
const begun = Date.now();
let before = begun;
const steps = [];
const done = (what) => {
  steps.push([what, Date.now() - before]);
  before = Date.now();
};
const processes = new Set();
process.on("exit", () => processes.forEach((child) => child.kill("SIGKILL")));

/** Starts the program in a folder; its output is collected. */
function start(words, within, env = {}) {
  const child = spawn(program, words, { cwd: join(folder, within), env: { ...process.env, ...env } });
  processes.add(child);
  child.text = "";
  for (const output of [child.stdout, child.stderr]) output.on("data", (bytes) => { child.text += bytes; });
  child.ended = new Promise((resolve) => child.on("exit", (code) => { processes.delete(child); resolve(code); }));
  return child;
}
const says = async (child, text) => {
  for (let tries = 0; !child.text.includes(text); tries += 1) {
    check(tries < 600 && child.exitCode === null, `no "${text}" in: ${child.text}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

// One command runs a file. It is killed while it works, and the same command continues it.
const words = ["run", "etl.yaml", "--input", "day=2026-11-20"];
const first = start(words, "etl", { ETL_PAUSE: "1" });
await says(first, "orders");
await new Promise((resolve) => setTimeout(resolve, 1_500));
first.kill("SIGKILL");
await first.ended;
done("run a file, and kill it");
const again = start(words, "etl", { ETL_PAUSE: "1" });
check((await again.ended) === 0, again.text);
check(again.text.includes("goes on") && again.text.includes("succeeded"), again.text);
done("the same command continues it to its end");

// A server with a file. The token that it makes is in its folder.
const serve = async (listen) => {
  const server = start(["serve", "research.yaml", "--data", "data", "--listen", listen], "research", { MODEL_PAUSE: "1" });
  await says(server, "listening on ");
  return [server, server.text.match(/listening on (\S+)/)[1]];
};
let [server, site] = await serve("127.0.0.1:0");
done("start a server with a file");
const { browser, page, faults } = await open();
await page.goto(site);
await page.getByLabel("Token").fill(JSON.parse(readFileSync(join(folder, "research/data/tokens.json")))[0].token);
await page.keyboard.press("Enter");
await page.waitForURL("**/runs");
done("open the page");
await page.getByText("Start a run").click();
await page.getByText("question (a string, required)").waitFor();
await look(page, "first-start", pictures);
await page.getByLabel("Input").fill('{"qestion": "Why is tea green?"}');
await page.getByRole("button", { name: "Start" }).click();
await page.getByText("`qestion` is no input, did you mean `question`?").waitFor();
await page.goto(`${site}/runs`);
await page.getByText("Start a run").click();
await page.getByLabel("Input").fill('{"question": "Why is tea green?"}');
await page.getByRole("button", { name: "Start" }).click();
await page.waitForURL("**/runs/*");
await page.getByText("plan:").or(page.getByText("research:")).first().waitFor();
done("start a run on the page");

// The server is killed in the middle; the page continues with the next one.
server.kill("SIGKILL");
await server.ended;
[server] = await serve(new URL(site).host);
done("kill the server, and start it again");
await page.goto(page.url());
await page.getByRole("button", { name: "publish" }).waitFor({ timeout: 60_000 });
done("the run has come to the decision");
await look(page, "first-decision", pictures);
before = Date.now();
await page.getByRole("button", { name: "publish" }).click();
await page.locator(".state", { hasText: "succeeded" }).waitFor();
done("approve, and the run succeeds");
await look(page, "first-ended", pictures);
await browser.close();
server.kill("SIGTERM");
check((await server.ended) === 0, server.text);
rmSync(folder, { recursive: true, force: true });
// A server that is away for a moment is an error of the network for the page.
const own = faults.filter((fault) => !/ERR_|Failed to (load|fetch)|NetworkError/.test(fault));
check(own.length === 0, own.join("\n"));
for (const [what, took] of steps) console.log(`| ${what} | ${(took / 1000).toFixed(1)} s |`);
