// Failures of tasks.

const KINDS = ["transient", "permanent", "overloaded", "unknown"];

export class Failure extends Error {
  constructor(message, { kind = "transient", code, details, retryAfter } = {}) {
    if (!KINDS.includes(kind)) {
      throw new RangeError(`"${kind}" is no kind of failure: expected one of ${KINDS.join(", ")}`);
    }
    if (code !== undefined && !/^[A-Za-z0-9_.:-]{1,64}$/.test(code)) {
      throw new RangeError(`"${code}" is no code: expected 1 to 64 letters, digits, and "_.:-"`);
    }
    super(message);
    this.name = "Failure";
    Object.assign(this, { kind, code, details, retryAfter });
  }

  /** The form in messages, whose durations are in nanoseconds. */
  toWire() {
    const retry_after = this.retryAfter === undefined ? undefined : Math.round(this.retryAfter * 1e6);
    return { kind: this.kind, message: this.message, code: this.code, details: this.details, retry_after };
  }

  static ofWire({ message = "", kind = "unknown", code, details }) {
    return new Failure(message, { kind, code: code ?? undefined, details });
  }
}

export class GiveBack extends Error {
  constructor() {
    super("the attempt is given back");
    this.name = "GiveBack";
  }
}
