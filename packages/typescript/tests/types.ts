// Compiled, not run: the types that users rely on, and mistakes that they must reject.

import { Agent, Client, Failure, type Attempt } from "../src/index.js";

const agent = new Agent("http://127.0.0.1:8080", { token: "t", id: 7n });
agent.task("square", async (payload: { number: number }, attempt: Attempt) => {
  await fetch("http://127.0.0.1:1", { signal: attempt.signal });
  return payload.number ** 2;
});
agent.task("copy", (pages: number, attempt) => {
  for (let page = Number(attempt.lastDetails ?? 0); page < pages; page += 1) {
    attempt.heartbeat(page);
    attempt.progress(page / pages, `page ${page}`);
    attempt.emit({ text: "" });
  }
  // @ts-expect-error: a share that is a text
  attempt.progress("half");
});
// @ts-expect-error: a kind of failure that does not exist
new Failure("x", { kind: "fatal" });
// @ts-expect-error: an agent without an id
new Agent("http://127.0.0.1:8080", { token: "t" });
// @ts-expect-error: a measure that does not exist
agent.task("a", (_payload, attempt) => attempt.use({ seconds: 1 }));

export async function results(client: Client): Promise<number> {
  const task = await client.submit<{ squared: number }>("square", { number: 12 }, { key: "k", tier: "critical" });
  const { squared } = await task.result({ timeout: 60_000 });
  // @ts-expect-error: a field that the output does not have
  (await task.result()).cubed;
  for await (const run of client.runs({ workflow: "welcome" })) {
    await client.run(run.id).cancel();
  }
  return squared;
}
