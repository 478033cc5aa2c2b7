// A client: it submits tasks, defines workflows, starts, signals and awaits runs, and reads events.

import { randomUUID } from "node:crypto";
import { Failure } from "./failure.js";
import { Unavailable, Wire, sleep } from "./wire.js";

/** How long a request for an outcome is held open, in milliseconds. */
const WAIT = 20_000;

export class TaskFailed extends Error {
  constructor(what, outcome) {
    const failure = failureIn(outcome);
    super(`${what}: ${failure?.message ?? JSON.stringify(outcome)}`);
    this.name = new.target.name;
    Object.assign(this, { outcome, failure });
  }
}

export class RunFailed extends TaskFailed {}

export class Client {
  #wire;
  #patience;

  constructor(url, { token, patience = 30_000 } = {}) {
    this.#wire = new Wire(url, token);
    this.#patience = patience;
  }

  async submit(kind, payload = null, { key = randomUUID(), ...fields } = {}) {
    const { task } = await this.request("POST", "/v1/tasks", { ...fields, kind, payload }, { key });
    return new Task(this, task);
  }

  task(id) {
    return new Task(this, String(id));
  }

  async define(document) {
    return (await this.request("POST", "/v1/workflows", document)).changed;
  }

  async start(workflow, input = null, { key = randomUUID(), ...fields } = {}) {
    const { id } = await this.request("POST", "/v1/runs", { ...fields, workflow, input }, { key });
    return new Run(this, id);
  }

  run(id) {
    return new Run(this, String(id));
  }

  async *runs({ workflow, business_key } = {}) {
    let after;
    do {
      const { runs, next } = await this.request("GET", `/v1/runs${query({ workflow, business_key, after })}`);
      yield* runs;
      after = next ?? undefined;
    } while (after !== undefined);
  }

  async agents() {
    return (await this.request("GET", "/v1/agents")).agents;
  }

  async *events({ after, signal, ...filter } = {}) {
    let last = after;
    let silentSince;
    while (!signal?.aborted) {
      try {
        const headers = last === undefined ? {} : { "last-event-id": String(last) };
        for await (const line of this.#wire.stream(`/v1/events${query(filter)}`, headers, signal)) {
          silentSince = undefined;
          if (line.startsWith("id:")) {
            last = line.slice(3).trim();
          } else if (line.startsWith("data:")) {
            yield JSON.parse(line.slice(5));
          }
        }
      } catch (error) {
        silentSince ??= Date.now();
        if (!(error instanceof Unavailable) || Date.now() - silentSince > this.#patience) {
          throw error;
        }
      }
      await sleep(200, signal);
    }
  }

  /** What attempts report, until the task or run ends. */
  async *reports(path, signal) {
    for await (const line of this.#wire.stream(`${path}/reports`, {}, signal)) {
      if (line.startsWith("data:")) {
        yield JSON.parse(line.slice(5));
      }
    }
  }

  /** Sends a request, again while the server cannot be reached. */
  async request(method, path, body, { key, wait = 0, repeat = true } = {}) {
    const headers = key === undefined ? {} : { "idempotency-key": key };
    const end = Date.now() + this.#patience;
    for (let delay = 50; ; delay = Math.min(2_000, delay * 2)) {
      try {
        return await this.#wire.request(method, path, body, { wait, headers });
      } catch (error) {
        if (!repeat || !(error instanceof Unavailable) || Date.now() + delay > end) {
          throw error;
        }
      }
      await sleep(delay);
    }
  }

  /** The outcome of a task or run, or undefined after the time. */
  async outcome(path, timeout) {
    const end = timeout === undefined ? Infinity : Date.now() + timeout;
    for (;;) {
      const wait = Math.max(0, Math.min(WAIT, end - Date.now()));
      const asked = wait > 0 ? `${path}?wait=${Math.ceil(wait / 1000)}` : path;
      const { outcome } = await this.request("GET", asked, undefined, { wait });
      if (outcome !== undefined && outcome !== null) {
        return outcome;
      }
      if (Date.now() >= end) {
        return undefined;
      }
    }
  }
}

export class Task {
  #client;

  constructor(client, id) {
    this.#client = client;
    this.id = id;
  }

  state() {
    return this.#client.request("GET", `/v1/tasks/${this.id}`);
  }

  async result({ timeout } = {}) {
    const outcome = await this.#client.outcome(`/v1/tasks/${this.id}`, timeout);
    return succeeded(`task ${this.id}`, outcome, timeout, TaskFailed);
  }

  reports({ signal } = {}) {
    return this.#client.reports(`/v1/tasks/${this.id}`, signal);
  }

  async cancel(reason = "cancelled") {
    await this.#client.request("DELETE", `/v1/tasks/${this.id}${query({ reason })}`);
  }
}

export class Run {
  #client;

  constructor(client, id) {
    this.#client = client;
    this.id = id;
  }

  state() {
    return this.#client.request("GET", `/v1/runs/${this.id}`);
  }

  async result({ timeout } = {}) {
    const outcome = await this.#client.outcome(`/v1/runs/${this.id}`, timeout);
    return succeeded(`run ${this.id}`, outcome, timeout, RunFailed).output ?? null;
  }

  async signal(name, payload = null) {
    // Not repeated, since a signal has no key.
    await this.#client.request("POST", `/v1/runs/${this.id}/signals/${encodeURIComponent(name)}`, payload, { repeat: false });
  }

  async cancel(reason = "cancelled") {
    await this.#client.request("DELETE", `/v1/runs/${this.id}${query({ reason })}`);
  }

  reports({ signal } = {}) {
    return this.#client.reports(`/v1/runs/${this.id}`, signal);
  }

  events({ after = 0, signal } = {}) {
    return this.#client.events({ after, signal, run: this.id });
  }
}

function succeeded(what, outcome, timeout, failed) {
  if (outcome === undefined) {
    throw new DOMException(`${what} has not ended after ${timeout} ms`, "TimeoutError");
  }
  if (!("succeeded" in outcome)) {
    throw new failed(what, outcome);
  }
  return outcome.succeeded;
}

/** The failure somewhere in an outcome. */
function failureIn(outcome) {
  if (outcome === null || typeof outcome !== "object") {
    return undefined;
  }
  if ("message" in outcome && "kind" in outcome) {
    return Failure.ofWire(outcome);
  }
  for (const value of Object.values(outcome)) {
    const found = failureIn(value);
    if (found) {
      return found;
    }
  }
  return undefined;
}

function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return given.length > 0 ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}
