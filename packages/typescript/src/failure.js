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
    Object.assign(this, { kind, code, details, retryAfter, path: [] });
  }

  /** The form in messages, whose durations are in nanoseconds. */
  toWire() {
    const retry_after = this.retryAfter === undefined ? undefined : Math.round(this.retryAfter * 1e6);
    return { kind: this.kind, message: this.message, code: this.code, details: this.details, retry_after };
  }

  static ofWire({ message = "", kind = "unknown", code, details, retry_after, path = [], cause }) {
    const failure = new Failure(message, { kind, code: code ?? undefined, details, retryAfter: milliseconds(retry_after) });
    failure.path = path;
    if (cause) failure.cause = Failure.ofWire(cause);
    return failure;
  }
}

const UNITS = { year: 31557600e3, month: 2630016e3, day: 86400e3, h: 3600e3, m: 60e3, s: 1e3, ms: 1, us: 1e-3, ns: 1e-6 };

/** The milliseconds of a duration in a message: a text such as "1m 30s", or nanoseconds. */
function milliseconds(duration) {
  if (typeof duration === "number") return duration / 1e6;
  if (typeof duration !== "string") return undefined;
  const parts = [...duration.matchAll(/(\d+)(year|month|day|h|ms|m|s|us|ns)s?\b/g)];
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS[unit], 0);
}

export class GiveBack extends Error {
  constructor() {
    super("the attempt is given back");
    this.name = "GiveBack";
  }
}
