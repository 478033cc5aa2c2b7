// Agents and clients against a real server, both of which are killed. The environment variable COUNTERPOINT_HTTP names the program of
// packages/http.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { AccessDenied, Agent, Client, Failure, Problem, RunFailed, TaskFailed, Unavailable } from "../src/index.js";
import { span } from "../src/agent.js";

const PROGRAM = process.env.COUNTERPOINT_HTTP;
const EXAMPLE = fileURLToPath(new URL("../examples/square.mjs", import.meta.url));
const TOKENS = [
  { token: "client", name: "ada", roles: ["submitter"] },
  { token: "operator", name: "grace", roles: ["operator"] },
  ...[1, 2, 3].map((id) => ({ token: `agent-${id}`, name: `agent ${id}`, roles: ["agent"], agents: [id] })),
];
const PATIENT = { retry: { attempts: 100, base: "10ms", cap: "100ms" } };

/** A server as a process, on a port and a folder that stay when it is killed. */
class Server {
  listen = "127.0.0.1:0";

  async begin() {
    this.folder = await mkdtemp(path.join(tmpdir(), "counterpoint-"));
    await writeFile(path.join(this.folder, "tokens.json"), JSON.stringify(TOKENS));
    await this.start();
  }

  async start() {
    const file = (name) => path.join(this.folder, name);
    const options = ["--folder", file("journal"), "--tokens", file("tokens.json"), "--listen", this.listen];
    this.process = spawn(PROGRAM, options, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(this.process.stdout, "data");
    this.url = String(line).trim().split(" ").at(-1);
    this.listen = this.url.split("//")[1];
  }

  async kill() {
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }

  async end() {
    await this.kill();
    await rm(this.folder, { recursive: true });
  }
}

async function until(holds) {
  for (const end = Date.now() + 20_000; !(await holds()); await sleep(10)) {
    assert.ok(Date.now() < end, `not within 20 s: ${holds}`);
  }
}

test("durations of the server", () => {
  assert.deepEqual([span("1m 30s"), span("333ms"), span(5_000_000_000), span("1day 2h")], [90_000, 333, 5_000, 93_600_000]);
});

test("mistakes of declarations are errors", async () => {
  const options = { id: 1, log: () => {} };
  assert.throws(() => new Agent("127.0.0.1:1", options), /is no URL/);
  assert.throws(() => new Agent("http://127.0.0.1:1", { id: "x" }), /no number/);
  assert.throws(() => new Agent("http://127.0.0.1:1", { id: 1, capacity: 0 }), /capacity/);
  assert.throws(() => new Failure("x", { kind: "fatal" }), /no kind of failure/);
  assert.throws(() => new Failure("x", { code: "http 404" }), /no code/);
  const agent = new Agent("http://127.0.0.1:1", options);
  await assert.rejects(agent.run(), /performs nothing/);
  agent.task("a", () => 1);
  assert.throws(() => agent.task("a", () => 1), /another function/);
});

describe("with a server", { skip: PROGRAM === undefined && "COUNTERPOINT_HTTP is not set" }, () => {
  let server, client, operator, running;

  beforeEach(async () => {
    server = new Server();
    await server.begin();
    client = new Client(server.url, { token: "client" });
    operator = new Client(server.url, { token: "operator" });
    running = [];
  });

  afterEach(async () => {
    running.forEach(({ agent }) => agent.stop());
    await Promise.all(running.map(({ ended }) => ended));
    await server.end();
  });

  function agent(options = {}) {
    return new Agent(server.url, { token: "agent-1", id: 1, lease: 3_000, log: () => {}, ...options });
  }

  function begin(agent) {
    running.push({ agent, ended: agent.run() });
    return agent;
  }

  test("long work goes on from the details of an attempt that was lost", async () => {
    let lost;
    const isLost = new Promise((resolve) => (lost = resolve));
    const copy = async (pages, attempt) => {
      const done = attempt.lastDetails ?? 0;
      for (let page = done + 1; page <= pages; page += 1) {
        if (page === 4 && attempt.number === 1) {
          // The function hangs: its agent is alive, and the attempt silent.
          lost();
          await sleep(30_000, undefined, { signal: attempt.signal });
        }
        attempt.heartbeat(page);
        attempt.progress(page / pages, `page ${page} of ${pages}`);
        attempt.emit(`text of page ${page}`);
      }
      return { from: done, attempt: attempt.number };
    };
    begin(agent({ lease: 500 }).task("copy", copy));
    const policy = { heartbeat_timeout: "600ms", retry: { attempts: 3, base: "10ms", cap: "10ms" } };
    const task = await client.submit("copy", 6, { policy });
    await isLost;
    begin(agent({ token: "agent-2", id: 2 }).task("copy", copy));
    assert.deepEqual(await task.result({ timeout: 20_000 }), { from: 3, attempt: 2 });
    const reports = [];
    for await (const report of task.reports()) {
      reports.push(report);
    }
    assert.deepEqual(reports.map(({ progress }) => progress), [{ share: 1, text: "page 6 of 6" }, undefined]);
    assert.deepEqual([reports[1].chunk, reports[1].number], ["text of page 6", 2]);
    await assert.rejects(async () => client.task("99").reports().next(), { code: "unknown_task" });
  });

  test("plain and async functions, failures, usage", async () => {
    const tries = [];
    begin(
      agent({ capacity: 2 })
        .task("plain", ({ number }, attempt) => {
          attempt.use({ tokens: 3 });
          return number + 1;
        })
        .task("async", async (payload, { number, key }) => {
          tries.push(key);
          await sleep(5);
          if (payload === "closed") {
            throw new Failure("cannot be done", { kind: "permanent", code: "shop.closed", details: { until: 9 } });
          }
          if (number === 1) {
            throw new TypeError("lost");
          }
          return payload === "cyclic" ? (() => { const one = {}; one.one = one; return one; })() : { number };
        }),
    );
    assert.equal(await (await client.submit("plain", { number: 1 })).result({ timeout: 20_000 }), 2);
    assert.deepEqual(await (await client.submit("async", null)).result({ timeout: 20_000 }), { number: 2 });
    assert.equal(tries.length, 2);
    assert.equal(new Set(tries).size, 1, "both attempts have the same key");
    const closed = await client.submit("async", "closed");
    await assert.rejects(closed.result({ timeout: 20_000 }), (error) => {
      const { kind, code, details } = error.failure;
      assert.deepEqual([kind, code, details], ["permanent", "shop.closed", { until: 9 }]);
      return error instanceof TaskFailed;
    });
    const cyclic = await client.submit("async", "cyclic");
    await assert.rejects(cyclic.result({ timeout: 20_000 }), (error) => error.failure.code === "invalid-output");
  });

  test("equal keys are one task", async () => {
    const [first, second] = [await client.submit("a", 1, { key: "k" }), await client.submit("a", 1, { key: "k" })];
    assert.equal(first.id, second.id);
    await assert.rejects(client.submit("a", 2, { key: "k" }), (error) => error instanceof Problem && error.status === 409);
    await assert.rejects(first.result({ timeout: 50 }), { name: "TimeoutError" });
  });

  test("a cancelled task aborts its signal, also when all slots are taken", async () => {
    let begun = 0;
    const aborted = [];
    begin(
      agent({ capacity: 1, lease: 900 }).task("slow", async (payload, { signal }) => {
        begun += 1;
        await sleep(20_000, undefined, { signal }).catch(() => aborted.push(signal.aborted));
        signal.throwIfAborted();
      }),
    );
    const task = await client.submit("slow");
    await until(() => begun === 1);
    await task.cancel("not needed");
    await assert.rejects(task.result({ timeout: 20_000 }), TaskFailed);
    await until(() => aborted.length === 1);
    assert.deepEqual(aborted, [true]);
  });

  test("an agent that stops finishes its task first", async () => {
    let begun = 0;
    const one = begin(
      agent().task("slow", async () => {
        begun += 1;
        await sleep(300);
        return "done";
      }),
    );
    const tasks = [await client.submit("slow", 1), await client.submit("slow", 2)];
    await until(() => begun === 1);
    one.stop();
    await running[0].ended;
    const states = await Promise.all(tasks.map(async (task) => (await task.state()).state));
    assert.deepEqual(states.sort(), ["queued", "succeeded"]);
  });

  test("runs: define, start, signal, result, list, events", async () => {
    begin(
      agent().task("greet", (name) => {
        if (name === "nobody") {
          throw new Failure("there is nobody to greet", { kind: "permanent", code: "nobody" });
        }
        return `hello ${name}`;
      }),
    );
    await operator.define({
      name: "welcome",
      tasks: [
        { id: "go", wait: { signal: "go" } },
        { id: "greet", inputs: "${go.output}", depends_on: ["go"] },
      ],
      outputs: "${greet.output}",
    });
    const [oslo, nobody] = [await client.start("welcome", null, { key: "1" }), await client.start("welcome", null, { key: "2" })];
    assert.equal((await client.start("welcome", null, { key: "1" })).id, oslo.id);
    await oslo.signal("go", "Oslo");
    await nobody.signal("go", "nobody");
    assert.equal(await oslo.result({ timeout: 20_000 }), "hello Oslo");
    await assert.rejects(nobody.result({ timeout: 20_000 }), (error) => error instanceof RunFailed && error.failure.code === "nobody");
    const found = [];
    for await (const run of operator.runs({ workflow: "welcome" })) {
      found.push(run.id);
    }
    assert.deepEqual(found.sort(), [oslo.id, nobody.id].sort());
    const abort = new AbortController();
    for await (const event of operator.run(oslo.id).events({ signal: abort.signal })) {
      assert.ok(event.seq > 0);
      break;
    }
    abort.abort();
  });

  test("errors have types", async () => {
    await assert.rejects(new Client(server.url, { token: "unknown" }).submit("a"), AccessDenied);
    await assert.rejects(new Agent(server.url, { token: "client", id: 1 }).task("a", () => 1).run(), AccessDenied);
    await assert.rejects(client.start("missing"), (error) => error instanceof Problem && error.status === 404);
    await assert.rejects(new Client("http://127.0.0.1:9", { patience: 100 }).submit("a"), Unavailable);
  });

  test("agents and clients survive the end of the server", async () => {
    const seen = new Set();
    begin(
      agent({ capacity: 2, lease: 1_000 }).task("square", async ({ number }, { key }) => {
        seen.add(key);
        await sleep(30);
        return number ** 2;
      }),
    );
    const tasks = [];
    for (let number = 0; number < 30; number += 1) {
      tasks.push(await client.submit("square", { number }, { key: `square-${number}`, policy: PATIENT }));
      if (number % 10 === 9) {
        await server.kill();
        sleep(300).then(() => server.start());
      }
    }
    for (const [number, task] of tasks.entries()) {
      assert.equal(await task.result({ timeout: 60_000 }), number ** 2);
    }
    assert.equal(seen.size, 30);
  });

  test("the example survives kills of itself and of the server", async () => {
    const start = (id) => spawn(process.execPath, [EXAMPLE, server.url, `agent-${id}`, String(id)], { stdio: "ignore" });
    const agents = [start(1), start(2)];
    const tasks = [];
    for (let number = 0; number < 24; number += 1) {
      const payload = { number, takes: 0.05 };
      tasks.push(await client.submit("square", payload, { key: `example-${number}`, policy: PATIENT }));
      if (number % 7 === 3) {
        agents[0].kill("SIGKILL");
        agents[0] = start(1);
      }
      if (number === 14) {
        await server.kill();
        await server.start();
      }
    }
    for (const [number, task] of tasks.entries()) {
      assert.deepEqual(await task.result({ timeout: 60_000 }), { squared: number ** 2 });
    }
    agents[0].kill("SIGKILL");
    agents[1].kill("SIGTERM");
    const [code] = await once(agents[1], "exit");
    assert.equal(code, 0);
  });
});
