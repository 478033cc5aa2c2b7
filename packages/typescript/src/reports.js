// Reports of attempts under way, on their way to the server: heartbeats with details, progress, and parts of the output.

import { Problem, Unavailable, sleep } from "./wire.js";

/** The number of parts of an output that may wait. Beyond it the oldest ones are dropped. */
const WAITING = 256;
/** How often a report is sent while the server is away or busy. */
const TRIES = 3;

/** What waits of one attempt: the last heartbeat and the last progress, and the last parts of the output. */
class Pending {
  heartbeat;
  progress;
  parts = [];

  add(kind, body) {
    if (kind === "emit") {
      this.parts.push(body);
      this.parts.splice(0, this.parts.length - WAITING);
    } else if (kind === "progress") {
      this.progress = body;
    } else if (this.heartbeat === undefined || "details" in body) {
      // A heartbeat without details does not replace details that wait.
      this.heartbeat = body;
    }
  }

  /** The messages, in the order in which they are sent. */
  bodies() {
    const last = [this.heartbeat && { attempt_heartbeat: this.heartbeat }, this.progress && { progress: this.progress }];
    return [...last.filter(Boolean), ...this.parts.map((emit) => ({ emit }))];
  }
}

/** Sends the reports of an attempt, one after the other. A function that reports never waits. */
export class Reports {
  #send;
  #rejected;
  #signal;
  #pending;
  #busy = false;
  #sending;

  constructor(send, rejected, signal) {
    this.#send = send;
    this.#rejected = rejected;
    this.#signal = signal;
  }

  /** Puts a report on its way. */
  add(kind, body) {
    this.#pending ??= new Pending();
    this.#pending.add(kind, body);
    if (!this.#busy) {
      this.#sending = this.#deliver();
    }
  }

  /** Waits until nothing waits any more. */
  async finish() {
    do {
      await this.#sending;
    } while (this.#busy);
  }

  async #deliver() {
    this.#busy = true;
    while (this.#pending !== undefined && !this.#signal.aborted) {
      const bodies = this.#pending.bodies();
      this.#pending = undefined;
      for (const body of bodies) {
        if (!(await this.#deliverOne(body))) {
          break;
        }
      }
    }
    // Together with the condition of the loop: a report that is added from now on is delivered anew.
    this.#busy = false;
  }

  /** Sends a report, a few times if the server is away or busy. Returns whether the next one is to be sent. */
  async #deliverOne(body) {
    for (let tries = 0; tries < TRIES && !this.#signal.aborted; tries += 1) {
      try {
        await this.#send(body);
        return true;
      } catch (error) {
        const isPassing = error instanceof Problem && (error.status >= 500 || [408, 429].includes(error.status));
        if (!(error instanceof Unavailable || isPassing)) {
          this.#rejected(error);
          return false;
        }
        await sleep(error.retryAfter ?? 100 + Math.random() * 200, this.#signal);
      }
    }
    return false;
  }
}
