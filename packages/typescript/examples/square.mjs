// An agent in 20 lines: node square.mjs URL TOKEN AGENT_ID

import { setTimeout } from "node:timers/promises";
import { Agent, Failure } from "../src/index.js";

const [url, token, id] = process.argv.slice(2);
const agent = new Agent(url, { token, id, name: `node ${id}`, capacity: 2, lease: 5_000 });

agent.task("square", async (payload, attempt) => {
  await setTimeout((payload.takes ?? 0) * 1000, undefined, { signal: attempt.signal });
  if (payload.number < 0) {
    throw new Failure("negative numbers are not squared here", { kind: "permanent", code: "negative" });
  }
  return { squared: payload.number ** 2 };
});

await agent.run();
