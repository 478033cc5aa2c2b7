// An agent: it registers, asks for work, performs it, and reports.

import { Failure, GiveBack } from "./failure.js";
import { Reports } from "./reports.js";
import { AccessDenied, Problem, Unavailable, Wire, sleep } from "./wire.js";

/** How long a request for work is held open, in seconds. */
const POLL = 20;
/** The longest delay before the agent connects again, in milliseconds. */
const BACKOFF = 5_000;
/** The codes of rejections after which an attempt or its session has ended. */
const ENDED = ["stale_attempt", "stale_incarnation", "not_holder"];
/** The number of ended attempts that a session remembers: an answer that was under way may assign one of them again. */
const REMEMBERED = 1_000;

export class Agent {
  #wire;
  #card;
  #capacity;
  #grace;
  #log;
  #functions = new Map();
  #stopping = new AbortController();
  #stopped = new Promise((resolve) => this.#stopping.signal.addEventListener("abort", resolve, { once: true }));
  // The functions that have not returned, of all sessions.
  #working = { count: 0, changed: () => {} };
  #count = 0;

  constructor(url, { token, id, name, capacity = 1, lease = 15_000, labels, grace = 30_000, log = console.warn }) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError("capacity: expected a whole number of at least 1");
    }
    if (!/^\d+$/.test(String(id))) {
      throw new RangeError(`id: "${id}" is no number below 2^64`);
    }
    this.#wire = new Wire(url, token);
    this.#card = { id: String(id), name, capacity, lease: Math.round(lease * 1e6), labels, skills: {} };
    this.#capacity = capacity;
    this.#grace = grace;
    this.#log = log;
  }

  task(kind, perform, { level = 1 } = {}) {
    if (this.#functions.has(kind)) {
      throw new RangeError(`"${kind}" is performed by another function already`);
    }
    this.#functions.set(kind, perform);
    this.#card.skills[kind] = level;
    return this;
  }

  async run() {
    if (this.#functions.size === 0) {
      throw new RangeError("the agent performs nothing: declare functions with agent.task(KIND, FUNCTION)");
    }
    const stop = () => this.stop();
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    let delay = 0;
    try {
      while (!this.#stopping.signal.aborted) {
        const session = new Session(this.#port());
        try {
          await session.perform();
        } catch (error) {
          const rejected = error instanceof Problem && error.status < 500 && error.status !== 429 && !session.registered;
          if (error instanceof AccessDenied || rejected || !(error instanceof Problem || error instanceof Unavailable)) {
            throw error;
          }
          this.#log(`the session has ended: ${error.message}`);
        } finally {
          session.end();
        }
        delay = session.registered ? 100 : Math.min(BACKOFF, Math.max(100, delay * 2));
        await sleep(delay * (0.5 + Math.random() / 2), this.#stopping.signal);
      }
    } finally {
      process.removeListener("SIGINT", stop);
      process.removeListener("SIGTERM", stop);
    }
  }

  stop() {
    this.#stopping.abort();
  }

  /** What a session uses of the agent. */
  #port() {
    return {
      card: this.#card,
      capacity: this.#capacity,
      grace: this.#grace,
      functions: this.#functions,
      stopping: this.#stopping.signal,
      stopped: this.#stopped,
      working: this.#working,
      log: this.#log,
      send: (body, options) => this.#send(body, options),
    };
  }

  async #send(body, { wait = 0, signal } = {}) {
    this.#count += 1;
    const message = { v: 1, id: `${this.#card.id}-${process.pid}-${this.#count}`, body };
    const path = wait ? `/v1/messages?wait=${wait}` : "/v1/messages";
    return (await this.#wire.request("POST", path, message, { wait: wait * 1000, signal })) ?? [];
  }
}

/** One incarnation of an agent: from its registration until the server or the agent ends it. */
class Session {
  #agent;
  #by;
  #over = new AbortController();
  #running = new Map();
  #ended = [];
  #polling = false;
  // The last request that said for how many attempts the agent asks: a later one replaces an earlier one.
  #asking = Promise.resolve();

  constructor(agent) {
    this.#agent = agent;
  }

  get registered() {
    return this.#by !== undefined;
  }

  /** Registers, and performs tasks until the session is over or the agent is asked to stop. */
  async perform() {
    const [answer] = await this.#agent.send({ register: { agent: this.#agent.card } });
    const { by, heartbeat } = answer.body.registered;
    this.#by = by;
    const loops = Promise.race([this.#poll(), this.#beat(span(heartbeat) ?? 5_000)]);
    await Promise.race([loops, this.#agent.stopped]);
    if (this.#agent.stopping.aborted) {
      await this.#drain(loops);
    }
  }

  /** Ends the session. The results of attempts under way would be rejected from now on. */
  end() {
    this.#over.abort();
    this.#agent.working.changed();
    for (const attempt of this.#running.values()) {
      attempt.cancel();
    }
  }

  /** Takes no further attempts, and waits for those under way, unless the session ends. */
  async #drain(loops) {
    let ended = false;
    loops.catch(() => (ended = true));
    try {
      this.#take(await this.#agent.send({ poll: { by: this.#by, most: 0 } }));
    } catch (error) {
      this.#agent.log(`at the end: ${error.message}`);
    }
    const until = Date.now() + this.#agent.grace;
    while (this.#running.size > 0 && !ended && Date.now() < until) {
      await sleep(20);
    }
  }

  get #room() {
    return this.#agent.capacity - this.#agent.working.count;
  }

  async #beat(every) {
    for (;;) {
      await sleep(every, this.#over.signal);
      if (this.#over.signal.aborted) {
        return;
      }
      // An agent that asks for work gets cancellations with it; this request fetches those of a full agent.
      const fetch = !this.#polling && this.#room <= 0;
      const body = fetch ? { poll: { by: this.#by, most: 0 } } : { heartbeat: { by: this.#by } };
      const asked = this.#patiently(body);
      if (fetch) {
        this.#asking = asked.catch(() => {});
      }
      this.#take(await asked);
    }
  }

  async #poll() {
    while (!this.#over.signal.aborted && !this.#agent.stopping.aborted) {
      await this.#asking;
      const free = this.#room;
      if (free > 0) {
        this.#polling = true;
        const messages = await this.#patiently({ poll: { by: this.#by, most: free } }, { wait: POLL, signal: this.#over.signal });
        this.#polling = false;
        this.#take(messages);
      } else {
        await new Promise((resolve) => (this.#agent.working.changed = resolve));
      }
    }
  }

  /** Sends a message once; no answers if the server is away or busy. Rejects with what ends the session. */
  async #patiently(body, options) {
    try {
      return await this.#agent.send(body, options);
    } catch (error) {
      if (!(error instanceof Unavailable) && !isPassing(error)) {
        throw error;
      }
      await sleep(error.retryAfter ?? 100 + Math.random() * 200, this.#over.signal);
      return [];
    }
  }

  #take(messages) {
    // A cancellation may arrive together with its assignment.
    const told = (kind) => messages.filter(({ body }) => body[kind]).map(({ body }) => name(body[kind].attempt));
    const [cancelled, requested] = [told("cancel"), told("yield")];
    for (const { at, body } of messages) {
      const ahead = at === undefined ? 0 : Date.now() - Number(at) / 1e6;
      const given = body.assign ? [body.assign] : (body.assign_batch?.attempts ?? []);
      given.forEach((one) => this.#begin(one, ahead, cancelled.includes(name(one.attempt))));
    }
    cancelled.forEach((attempt) => this.#running.get(attempt)?.cancel());
    requested.forEach((attempt) => this.#running.get(attempt)?.requestBack());
  }

  #begin(given, ahead, isCancelled) {
    const key = name(given.attempt);
    // An assignment is repeated until it is accepted.
    if (this.#over.signal.aborted || this.#running.has(key) || this.#ended.includes(key)) {
      return;
    }
    const attempt = new Attempt(given, ahead, this.#by, (reported) => this.#reports(reported));
    this.#running.set(key, attempt);
    this.#agent.working.count += 1;
    const about = { by: this.#by, attempt: attempt.id };
    (isCancelled ? this.#report({ give_back: about }, about) : this.#perform(attempt, about))
      .catch((error) => this.#agent.log(`attempt ${key}: ${error.message}`))
      .finally(() => {
        this.#running.delete(key);
        this.#ended = [key, ...this.#ended.slice(0, REMEMBERED - 1)];
        this.#agent.working.count -= 1;
        this.#agent.working.changed();
      });
  }

  async #perform(attempt, about) {
    if (!(await this.#report({ accept: about }, about)) || this.#over.signal.aborted) {
      return;
    }
    const verdict = await this.#verdict(attempt);
    // The details that were reported last are to reach the next attempt.
    await attempt.reported();
    await this.#report(verdict === undefined ? { give_back: about } : { result: { ...about, verdict } }, about);
  }

  /** Performs an attempt; undefined if it is given back. */
  async #verdict(attempt) {
    let verdict;
    try {
      const perform = this.#agent.functions.get(attempt.kind);
      if (perform === undefined) {
        throw new Failure(`the agent has no function for "${attempt.kind}"`, { kind: "permanent", code: "no-function" });
      }
      const output = await perform(attempt.payload, attempt);
      verdict = { succeeded: { output: asJson(output) } };
    } catch (error) {
      if (error instanceof GiveBack) {
        return undefined;
      }
      verdict = failed(attempt.signal.aborted && !(error instanceof Failure) ? CANCELLED : error);
    }
    const usage = attempt.used();
    if (usage !== undefined) {
      Object.values(verdict)[0].usage = usage;
    }
    return verdict;
  }

  /** The way of the reports of an attempt to the server. */
  #reports(attempt) {
    const send = async (body) => this.#take(await this.#agent.send(body));
    const rejected = (problem) => {
      if (ENDED.includes(problem.code)) {
        attempt.cancel();
      } else {
        this.#agent.log(`a report of attempt ${name(attempt.id)} was rejected: ${problem.message}`);
        attempt.reject(problem);
      }
    };
    return new Reports(send, rejected, this.#over.signal);
  }

  /** Sends a message about an attempt until the server has received it; returns whether it has, and wants more. */
  async #report(body, about) {
    let reduced = false;
    for (let delay = 50; !this.#over.signal.aborted; delay = Math.min(BACKOFF, delay * 2)) {
      let why;
      try {
        this.#take(await this.#agent.send(body));
        return !reduced;
      } catch (error) {
        if (error instanceof Unavailable || isPassing(error)) {
          await sleep(error.retryAfter ?? delay, this.#over.signal);
          continue;
        }
        const ended = error instanceof Problem && ([401, 403, 404].includes(error.status) || ENDED.includes(error.code));
        if (ended || body.accept || reduced) {
          // The attempt has ended: it was cancelled, timed out, or belongs to another agent now.
          return false;
        }
        why = error instanceof Problem ? `the result was rejected: ${error.detail}` : `the result is not JSON: ${error.message}`;
      }
      // The server has to learn that the attempt has ended: with as little as possible that it could reject.
      const options = body.give_back ? { code: "given-back" } : { kind: "permanent", code: "invalid-output" };
      body = { result: { ...about, verdict: failed(new Failure(why.slice(0, 500), options)) } };
      reduced = true;
    }
    return false;
  }
}

/** Whether the same request may be accepted later. */
const isPassing = (error) => error instanceof Problem && (error.status >= 500 || [408, 429].includes(error.status));

const CANCELLED = new Failure("the attempt was cancelled", { kind: "unknown", code: "cancelled" });

class Attempt {
  #abort = new AbortController();
  #ends;
  #usage;
  #by;
  #reports;
  // The rejection of an earlier report.
  #rejected;

  constructor(given, ahead, by, reports) {
    this.#by = by;
    this.#reports = reports(this);
    this.id = given.attempt;
    this.number = given.attempt.number;
    this.kind = given.kind;
    this.key = given.key;
    this.payload = given.payload ?? null;
    this.lastDetails = given.details ?? null;
    this.heartbeatTimeout = span(given.heartbeat_timeout);
    this.requestedBack = false;
    const ends = [given.until, given.deadline].filter((end) => end !== undefined);
    this.#ends = ends.length > 0 ? Math.min(...ends.map((end) => Number(end) / 1e6 + ahead)) : undefined;
  }

  get signal() {
    return this.#abort.signal;
  }

  get millisecondsLeft() {
    return this.#ends === undefined ? undefined : Math.max(0, this.#ends - Date.now());
  }

  heartbeat(details) {
    this.#report("attempt_heartbeat", details === undefined || details === null ? {} : { details });
  }

  progress(share, text = "") {
    if (typeof share !== "number" || !(share >= 0 && share <= 1)) {
      throw new RangeError(`share: ${share} is no number from 0 to 1`);
    }
    const bytes = Buffer.byteLength(text);
    if (bytes > 1_024) {
      throw new RangeError(`text: ${bytes} bytes, expected at most 1024`);
    }
    this.#report("progress", { progress: { share, text } });
  }

  emit(chunk) {
    this.#report("emit", { chunk });
  }

  #report(kind, content) {
    if (this.#rejected !== undefined) {
      const text = `a report was rejected: ${this.#rejected.detail ?? this.#rejected.message}`;
      throw new Failure(text.slice(0, 500), { kind: "permanent", code: "invalid-report" });
    }
    // What is passed may change after the call.
    const fixed = Object.entries(content).map(([field, value]) => [field, asJson(value, "the report", "invalid-report")]);
    this.#reports.add(kind, { by: this.#by, attempt: this.id, ...Object.fromEntries(fixed) });
  }

  reject(problem) {
    this.#rejected = problem;
  }

  /** Waits until all reports are sent. */
  reported() {
    return this.#reports.finish();
  }

  use({ tokens = 0, cost = 0 }) {
    for (const [measure, amount] of Object.entries({ tokens, cost })) {
      if (!Number.isSafeInteger(amount) || amount < 0) {
        throw new RangeError(`${measure}: ${amount} is no whole number that is not negative`);
      }
    }
    const before = this.#usage ?? { tokens: 0, cost: 0 };
    this.#usage = { tokens: before.tokens + tokens, cost: before.cost + cost };
  }

  used() {
    return this.#usage;
  }

  cancel() {
    this.#abort.abort();
  }

  requestBack() {
    this.requestedBack = true;
  }
}

/** A value as JSON; nothing is null. */
function asJson(output, what = "the output", code = "invalid-output") {
  let text;
  try {
    text = JSON.stringify(output ?? null);
  } catch (error) {
    throw new Failure(`${what} is not JSON: ${error.message}`, { kind: "permanent", code });
  }
  if (text === undefined) {
    throw new Failure(`${what} is not JSON: it is a ${typeof output}`, { kind: "permanent", code });
  }
  return JSON.parse(text);
}

function failed(error) {
  if (error instanceof Failure) {
    return { failed: { failure: error.toWire() } };
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const details = error instanceof Error ? { stack: String(error.stack).slice(0, 4_000) } : undefined;
  return { failed: { failure: new Failure(text, { code: "exception", details }).toWire() } };
}

const name = ({ task, number }) => `${task}.${number}`;

/** A duration of the server in milliseconds: nanoseconds, or a text such as "1m 30s". */
export function span(text) {
  if (text === undefined || text === null) {
    return undefined;
  }
  if (typeof text === "number") {
    return text / 1e6;
  }
  const units = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 3.6e6, day: 8.64e7, days: 8.64e7 };
  return text.split(" ").reduce((sum, part) => {
    const [, digits, unit] = /^(\d+)([a-z]+)$/.exec(part) ?? [];
    return sum + Number(digits) * units[unit];
  }, 0);
}
