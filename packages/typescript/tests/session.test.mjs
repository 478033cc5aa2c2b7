// The messages of an agent, against a stand-in for the server.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, Failure, GiveBack } from "../src/index.js";

const BY = { agent: "1", number: "7" };
const assign = (task) => ({ assign: { attempt: { task: String(task), number: 1 }, to: BY, kind: "work", payload: task } });

/** Runs an agent against a server that assigns work once and rejects some messages, until an attempt has ended. */
async function session({ given, reject = () => undefined, work, capacity = 1, until }) {
  const sent = [];
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    const { body } = JSON.parse(Buffer.concat(chunks));
    const [[kind, content]] = Object.entries(body);
    sent.push(body);
    const answer = (status, messages) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(messages));
    };
    const rejected = reject(kind, content, sent);
    if (rejected) {
      const [status, code] = rejected;
      return answer(status, [{ body: { rejected: { code, reason: code } } }]);
    }
    if (kind === "register") {
      return answer(200, [{ body: { registered: { by: BY, heartbeat: "20ms" } } }]);
    }
    if (kind === "result" || kind === "give_back") {
      end();
    }
    const asks = kind === "poll" && content.most > 0;
    const messages = asks ? given.splice(0) : [];
    await sleep(asks && messages.length === 0 ? 20 : 0);
    answer(200, messages.map((body) => ({ at: "0", body })));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const agent = new Agent(`http://127.0.0.1:${server.address().port}`, { id: 1, capacity, grace: 100, log: () => {} });
  const performed = [];
  agent.task("work", (payload, attempt) => {
    performed.push(payload);
    return work?.(payload, attempt);
  });
  const running = agent.run();
  await (until ? until(sent, performed) : ended);
  agent.stop();
  await running;
  server.closeAllConnections();
  server.close();
  const results = sent.filter((body) => body.result).map((body) => body.result.verdict);
  return { sent, performed, results, names: sent.map((body) => Object.keys(body)[0]) };
}

test("the server learns of the end of an attempt whose result it rejects", async () => {
  const { results } = await session({
    given: [assign(3)],
    reject: (kind, content) => kind === "result" && content.verdict.failed.failure.details && [400, "too_deep"],
    work: () => {
      throw new Failure("broken", { details: [[1]] });
    },
  });
  assert.deepEqual(results.map((verdict) => verdict.failed.failure.code), [undefined, "invalid-output"]);
});

test("a failure whose details are no JSON is reported", async () => {
  const { results } = await session({
    given: [assign(3)],
    work: () => {
      throw new Failure("broken", { details: 7n });
    },
  });
  assert.equal(results[0].failed.failure.code, "invalid-output");
});

test("a failure that is shown is whole", () => {
  const cause = { kind: "overloaded", message: "busy", retry_after: "1m 30s 5ms" };
  const path = [{ workflow: "order", node: "charge", instance: 2 }];
  const failure = Failure.ofWire({ kind: "permanent", message: "no", code: "card.no", details: { a: 1 }, path, cause });
  assert.deepEqual([failure.code, failure.details, failure.path], ["card.no", { a: 1 }, path]);
  assert.deepEqual([failure.cause.kind, failure.cause.retryAfter, failure.cause.path], ["overloaded", 90005, []]);
  assert.equal(failure.cause.cause, undefined);
  assert.equal(Failure.ofWire(failure.cause.toWire()).retryAfter, 90005);
});

test("giving back without a request is a failure", async () => {
  const { results } = await session({
    given: [assign(3)],
    reject: (kind) => kind === "give_back" && [409, "not_requested_back"],
    work: () => {
      throw new GiveBack();
    },
  });
  assert.deepEqual([results[0].failed.failure.kind, results[0].failed.failure.code], ["transient", "given-back"]);
});

test("an attempt whose acceptance is rejected is not performed", async () => {
  const { performed } = await session({
    given: [assign(3), assign(4)],
    capacity: 2,
    reject: (kind, content) => kind === "accept" && content.attempt.task === "3" && [409, "stale_attempt"],
  });
  assert.deepEqual(performed, [4]);
});

test("an attempt that is cancelled with its assignment is given back", async () => {
  const cancel = { cancel: { from: BY, attempt: { task: "3", number: 1 } } };
  const { performed, names } = await session({ given: [cancel, assign(3)] });
  assert.deepEqual([performed, names.filter((name) => name === "give_back").length], [[], 1]);
});

test("a server that is busy ends no session", async () => {
  const statuses = [503, 429, 500];
  const { names } = await session({
    given: [assign(3)],
    reject: (kind) => ["poll", "heartbeat"].includes(kind) && statuses.length > 0 && [statuses.pop(), "busy"],
  });
  assert.deepEqual([statuses, names.filter((name) => name === "register").length], [[], 1]);
});

test("an attempt of a session that has ended is aborted, and keeps its place until it returns", async () => {
  const most = [];
  let [begun, aborted] = [false, false];
  await session({
    given: [assign(3)],
    capacity: 2,
    reject: (kind, content, sent) => {
      const registered = sent.filter((body) => body.register).length;
      if (kind === "poll" && content.most > 0 && registered === 2) {
        most.push(content.most);
      }
      return kind === "poll" && registered === 1 && begun && [409, "stale_incarnation"];
    },
    work: async (_payload, { signal }) => {
      begun = true;
      signal.addEventListener("abort", () => (aborted = true));
      await sleep(300);
    },
    until: async () => {
      while (most.length === 0) {
        await sleep(10);
      }
    },
  });
  assert.deepEqual([most[0], aborted], [1, true]);
});

test("reports are sent before the result, and the last ones count", async () => {
  const given = assign(3);
  Object.assign(given.assign, { details: { page: 2 }, heartbeat_timeout: "1m 30s" });
  const { sent, results } = await session({
    given: [given],
    work: async (_, attempt) => {
      attempt.heartbeat(0);
      const page = { page: 3 };
      for (let number = 0; number < 300; number += 1) {
        attempt.heartbeat(page);
        attempt.progress(number / 300, `page ${number}`);
        attempt.emit(number);
      }
      page.page = 99; // What was passed stays as it was.
      attempt.heartbeat();
      return [attempt.lastDetails, attempt.heartbeatTimeout];
    },
  });
  const about = { by: BY, attempt: { task: "3", number: 1 } };
  const [first, second, progress, ...parts] = sent.filter((body) => body.attempt_heartbeat || body.progress || body.emit);
  assert.deepEqual(first, { attempt_heartbeat: { ...about, details: 0 } });
  assert.deepEqual(second, { attempt_heartbeat: { ...about, details: { page: 3 } } });
  assert.deepEqual(progress, { progress: { ...about, progress: { share: 299 / 300, text: "page 299" } } });
  // Of 300 parts the last 256 waited.
  assert.deepEqual(parts.map(({ emit }) => emit.chunk), Array.from({ length: 256 }, (_, index) => index + 44));
  assert.ok(Object.keys(sent.findLast((body) => body.emit || body.result))[0] === "result");
  assert.deepEqual(results, [{ succeeded: { output: [{ page: 2 }, 90_000] } }]);
});

for (const [rejected, code] of [[[422, "too_large"], "invalid-report"], [[409, "stale_attempt"], "stopped"]]) {
  test(`a report that is rejected as ${rejected[1]} ends the attempt`, async () => {
    const { results } = await session({
      given: [assign(3)],
      reject: (kind) => kind === "attempt_heartbeat" && rejected,
      work: async (_, attempt) => {
        while (!attempt.signal.aborted) {
          attempt.heartbeat("x");
          await sleep(1);
        }
        throw new Failure("stopped", { code: "stopped" });
      },
    });
    assert.deepEqual(results.map((verdict) => verdict.failed.failure.code), [code]);
  });
}

test("mistakes of reports are errors at once", async () => {
  const errors = [];
  const { names } = await session({
    given: [assign(3)],
    work: (_, attempt) => {
      const mistakes = [-0.1, 1.1, NaN, "half"].map((share) => () => attempt.progress(share));
      mistakes.push(() => attempt.progress(0.5, "x".repeat(1_025)), () => attempt.heartbeat(7n), () => attempt.emit(() => 1));
      for (const mistake of mistakes) {
        try {
          mistake();
        } catch (error) {
          errors.push(error.name);
        }
      }
    },
  });
  assert.equal(errors.length, 7);
  assert.ok(!names.some((name) => ["attempt_heartbeat", "progress", "emit"].includes(name)));
});
