// Requests to the server, with time limits, and errors with types.

export class Unavailable extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "Unavailable";
  }
}

export class Problem extends Error {
  constructor(status, code, detail, retryAfter) {
    super(`${status} ${code}: ${detail}`);
    this.name = new.target.name;
    Object.assign(this, { status, code, detail, retryAfter });
  }
}

export class AccessDenied extends Problem {}

export class Wire {
  #url;
  #token;

  constructor(url, token) {
    const parsed = parse(url);
    if (!parsed || !["http:", "https:"].includes(parsed.protocol)) {
      throw new TypeError(`"${url}" is no URL of a server, such as "http://127.0.0.1:8080"`);
    }
    this.#url = url.replace(/\/+$/, "");
    this.#token = token;
  }

  /** Sends a request and returns the answer as JSON. `wait` is added to the time limit; both are in milliseconds. */
  async request(method, path, body, { wait = 0, headers = {}, timeout = 15_000, signal } = {}) {
    // One signal for both: that of the caller outlives many requests, and must not collect their listeners.
    const abort = new AbortController();
    const end = () => abort.abort(signal?.aborted ? signal.reason : new Error("no answer in time"));
    const timer = setTimeout(end, timeout + wait);
    signal?.aborted ? end() : signal?.addEventListener("abort", end, { once: true });
    try {
      const response = await this.#send(method, path, body, headers, abort.signal);
      const text = await response.text().catch((error) => {
        throw new Unavailable(`the answer of ${this.#url} ended early: ${error.message}`, { cause: error });
      });
      return answer(response, text);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
  }

  /** The lines of an answer without an end. */
  async *stream(path, headers, signal) {
    const response = await this.#send("GET", path, undefined, headers, signal);
    if (response.status >= 400) {
      answer(response, await response.text());
    }
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of response.body) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop();
        yield* lines;
      }
    } catch (error) {
      if (signal?.aborted) {
        return;
      }
      throw new Unavailable(`the stream of ${this.#url} ended: ${error.message}`, { cause: error });
    }
  }

  async #send(method, path, body, headers, signal) {
    const all = { ...headers };
    if (this.#token !== undefined) {
      all.authorization = `Bearer ${this.#token}`;
    }
    if (body !== undefined) {
      all["content-type"] = "application/json";
    }
    // What is no JSON is an error of the caller, not of the connection.
    const content = body === undefined ? undefined : JSON.stringify(body);
    try {
      return await fetch(this.#url + path, { method, headers: all, body: content, signal });
    } catch (error) {
      const why = error.cause?.message || error.cause?.code || error.message;
      throw new Unavailable(`no answer of ${this.#url}: ${why}`, { cause: error });
    }
  }
}

function parse(url) {
  try {
    return new URL(url);
  } catch {
    return undefined;
  }
}

function answer(response, text) {
  let value;
  try {
    value = text === "" ? undefined : JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (response.status < 400) {
    return value;
  }
  // A message of an agent is answered by messages, any other request by a problem.
  const told = Array.isArray(value) ? value[0]?.body?.rejected : value;
  const code = told?.code ?? "rejected";
  const detail = [told?.reason ?? told?.detail ?? text.slice(0, 200), ...(told?.faults ?? [])].join("; ");
  const after = response.headers.get("retry-after");
  const retryAfter = /^\d+$/.test(after ?? "") ? Number(after) * 1000 : undefined;
  const kind = response.status === 401 || response.status === 403 ? AccessDenied : Problem;
  throw new kind(response.status, code, detail, retryAfter);
}

export const sleep = (milliseconds, signal) =>
  new Promise((resolve) => {
    if (signal?.aborted) {
      return resolve();
    }
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done, { once: true });
  });
