// The playground: sends requests to the module of WebAssembly and shows its answers. No build step, no network beyond the module.
(() => {
  const by = (id) => document.getElementById(id);
  const SAMPLE = `name: research
inputs:
  question: {type: string, default: "Why do tides come twice a day?"}
tasks:
  - {id: plan, inputs: "\${inputs.question}"}
  - {id: moon, type: research, depends_on: plan, retry: 3}
  - {id: sea, type: research, depends_on: plan, retry: 3}
  - {id: draft, depends_on: [moon, sea]}
  - id: review
    depends_on: draft
    race: [{name: verdict, decision: {role: editor, options: [publish, discard]}}]
  - {id: publish, depends_on: {task: review, case: publish}}
agents:
  planner: {capacity: 1, performs: {plan: {simulate: {takes: 2s..4s}}, draft: {simulate: {takes: 5s..9s}}}}
  researchers: {capacity: 2, performs: {research: {simulate: {takes: 3s..12s, fails: 0.3}}}}
  press: {capacity: 1, performs: {publish: {simulate: {takes: 1s}}}}
`;

  // The module reads a request from its standard input and writes the answer to its standard output. Each request has an
  // instance of its own: an error in one cannot affect another.
  let compiled = null;
  const module = () => compiled ??= (async () => {
    const embedded = by("module");
    const bytes = embedded
      ? Uint8Array.from(atob(embedded.textContent.trim()), (letter) => letter.charCodeAt(0))
      : new Uint8Array(await (await fetch("play.wasm")).arrayBuffer());
    return WebAssembly.compile(bytes);
  })();
  class End extends Error {}
  const ask = async (request) => {
    const input = new TextEncoder().encode(JSON.stringify(request));
    let memory, read = 0;
    const written = [];
    const view = () => new DataView(memory.buffer);
    const vectors = (at, count) => Array.from({ length: count }, (_, index) =>
      new Uint8Array(memory.buffer, view().getUint32(at + 8 * index, true), view().getUint32(at + 8 * index + 4, true)));
    const calls = {
      fd_read: (fd, at, count, out) => {
        if (fd !== 0) return 8;
        let total = 0;
        for (const part of vectors(at, count)) {
          const some = input.subarray(read, read + part.length);
          part.set(some);
          read += some.length;
          total += some.length;
        }
        view().setUint32(out, total, true);
        return 0;
      },
      fd_write: (fd, at, count, out) => {
        if (fd !== 1 && fd !== 2) return 8;
        let total = 0;
        for (const part of vectors(at, count)) {
          if (fd === 1) written.push(part.slice());
          total += part.length;
        }
        view().setUint32(out, total, true);
        return 0;
      },
      environ_sizes_get: (count, size) => { view().setUint32(count, 0, true); view().setUint32(size, 0, true); return 0; },
      environ_get: () => 0,
      args_sizes_get: (count, size) => { view().setUint32(count, 0, true); view().setUint32(size, 0, true); return 0; },
      args_get: () => 0,
      clock_time_get: (_, __, out) => { view().setBigUint64(out, 0n, true); return 0; },
      random_get: (at, length) => { new Uint8Array(memory.buffer, at, length).fill(7); return 0; },
      proc_exit: (code) => { throw new End(String(code)); },
    };
    const imports = new Proxy(calls, { get: (known, name) => known[name] ?? (() => 52), has: () => true });
    const instance = await WebAssembly.instantiate(await module(), { wasi_snapshot_preview1: imports });
    memory = instance.exports.memory;
    try {
      instance.exports._start();
    } catch (error) {
      if (!(error instanceof End) || error.message !== "0") return { error: "the simulation ended with an error of this program" };
    }
    const all = new Uint8Array(written.reduce((sum, part) => sum + part.length, 0));
    written.reduce((at, part) => (all.set(part, at), at + part.length), 0);
    return JSON.parse(new TextDecoder().decode(all));
  };

  // Styles of diagrams are added by script, which the policy of the page permits.
  const styles = new Map();
  const show = (place, svg) => {
    const bare = svg.replace(/<style>([^<]*)<\/style>/, (_, rules) => {
      if (!styles.has(rules)) {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(rules);
        styles.set(rules, sheet);
        document.adoptedStyleSheets = [...styles.values()];
      }
      return "";
    });
    const { scrollLeft, scrollTop } = place;
    place.replaceChildren(document.importNode(new DOMParser().parseFromString(bare, "image/svg+xml").documentElement, true));
    [place.scrollLeft, place.scrollTop] = [scrollLeft, scrollTop];
  };

  const seconds = (text) => {
    const found = /^\s*([\d.]+)\s*(ms|s|m|min|h|d)?\s*$/.exec(String(text));
    if (!found) return null;
    return Number(found[1]) * ({ ms: 0.001, m: 60, min: 60, h: 3600, d: 86400 }[found[2]] ?? 1);
  };
  // What the section `agents` assumes of a method: `takes: 2s..5s`, `fails: 0.1`, `output`.
  const assumed = (method) => {
    const simulate = method?.simulate ?? {};
    const parts = String(simulate.takes ?? "1s").split("..").map(seconds);
    return { from: parts[0] ?? 1, to: parts[1] ?? parts[0] ?? 1, fails: Number(simulate.fails ?? 0), output: simulate.output };
  };

  const element = (name, text) => { const made = document.createElement(name); if (text !== undefined) made.textContent = text; return made; };
  const field = (label, type, value) => {
    const input = element("input");
    Object.assign(input, { type, value });
    if (type === "number") { input.min = "0"; input.step = "any"; }
    input.setAttribute("aria-label", label);
    input.addEventListener("input", changed);
    return input;
  };
  const row = (name, fields) => {
    const made = element("tr");
    const head = element("th", name);
    head.scope = "row";
    made.append(head, ...fields.map((one) => { const cell = element("td"); cell.append(one); return cell; }));
    made.dataset.name = name;
    return made;
  };

  let crash = null, count = 0, asked = 0, shape = "";
  // The tables have a row for each kind and agent of the file. What was entered stays while the file says the same.
  const fill = (file) => {
    const agents = Object.entries(file.agents ?? {});
    const next = JSON.stringify([file.kinds, file.agents]);
    if (next === shape) return;
    shape = next;
    const methods = new Map();
    for (const [name, agent] of agents) {
      for (const [kind, method] of Object.entries(agent?.performs ?? { [name]: agent })) methods.set(kind, method);
    }
    by("kinds").replaceChildren(...file.kinds.map((kind) => {
      const of = assumed(methods.get(kind));
      return row(kind, [
        field(`Shortest duration of ${kind} in seconds`, "number", of.from), field(`Longest duration of ${kind} in seconds`, "number", of.to),
        field(`Failures of ${kind} in percent`, "number", of.fails * 100),
        field(`Output of ${kind}`, "text", of.output === undefined ? "null" : JSON.stringify(of.output)),
      ]);
    }));
    const listed = agents.length ? agents : [["agent", { capacity: 4 }]];
    by("agents").replaceChildren(...listed.map(([name, agent]) => {
      const performs = Object.keys(agent?.performs ?? {});
      const skills = Array.isArray(agent?.skills) ? agent.skills : Object.keys(agent?.skills ?? {});
      const all = agents.length ? (performs.length ? [...performs, ...skills] : [name, ...skills]) : [];
      const made = row(name, [field(`Slots of ${name}`, "number", agent?.capacity ?? 1), element("span", all.length ? all.join(", ") : "everything")]);
      made.dataset.performs = JSON.stringify(all);
      return made;
    }));
  };
  const data = (text, otherwise) => { try { return JSON.parse(text); } catch { return otherwise; } };
  const settings = () => ({
    text: by("text").value,
    input: data(by("input").value, by("input").value),
    seed: Math.max(0, Math.trunc(Number(by("seed").value) || 0)),
    people: Number(by("people").value) || 0,
    crash,
    kinds: Object.fromEntries([...by("kinds").children].map((one) => {
      const [from, to, fails, output] = [...one.querySelectorAll("input")].map((input) => input.value);
      return [one.dataset.name, { takes: [Number(from) || 0, Number(to) || 0], fails: (Number(fails) || 0) / 100, output: data(output, output) }];
    })),
    agents: [...by("agents").children].map((one) => ({
      name: one.dataset.name, capacity: Math.max(0, Math.trunc(Number(one.querySelector("input").value) || 0)), performs: JSON.parse(one.dataset.performs),
    })),
  });

  const mistakes = (list) => {
    by("mistakes").replaceChildren(...list.map((mistake) => {
      const line = element("button", `line ${mistake.line}, column ${mistake.column}: ${mistake.path ? mistake.path + ": " : ""}${mistake.text}`);
      line.type = "button";
      line.addEventListener("click", () => {
        const text = by("text");
        const start = text.value.split("\n").slice(0, mistake.line - 1).reduce((sum, one) => sum + one.length + 1, 0) + mistake.column - 1;
        text.focus();
        text.setSelectionRange(start, start + 1);
      });
      const made = element("div");
      made.append(line);
      return made;
    }));
    by("text").setAttribute("aria-invalid", String(list.length > 0));
  };

  let listed = "";
  const events = (list, until) => {
    const next = JSON.stringify(list);
    if (next !== listed) {
      listed = next;
      by("events").replaceChildren(...list.map((event) => element("li", `${event.at.toFixed(1)} s  ${event.text}`)));
    }
    [...by("events").children].forEach((line, index) => {
      line.className = index >= until ? "after" : "";
      line.toggleAttribute("aria-current", index === until - 1);
    });
    by("events").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    by("event").textContent = until > 0 && list[until - 1] ? list[until - 1].text : "";
  };

  const play = async (until) => {
    const number = ++asked;
    const found = await ask({ play: { ...settings(), until } });
    if (number !== asked) return;
    const result = by("result");
    if (found.error) { result.className = "bad"; result.textContent = found.error; return; }
    if (found.mistakes) { mistakes(found.mistakes); return; }
    result.className = found.state === "succeeded" ? "good" : "bad";
    const crashed = found.crashed === null ? "" : `; the engine crashed after ${found.crashed.toFixed(1)} s and went on from its journal`;
    const answered = found.answered.length ? `; people: ${found.answered.map((one) => one.text).join(", ")}` : "";
    result.textContent = `${found.state} after ${found.took.toFixed(1)} s${found.why ? ": " + found.why : ""}${answered}${crashed}`;
    count = found.count;
    Object.assign(by("time"), { max: count, value: found.until });
    by("at").textContent = `${found.at.toFixed(1)} of ${found.took.toFixed(1)} s, event ${found.until} of ${count}`;
    by("time").setAttribute("aria-valuetext", by("at").textContent);
    by("heal").hidden = crash === null;
    if (found.graph) show(by("graph"), found.graph);
    show(by("timeline"), found.timeline);
    events(found.events, found.until);
  };
  const check = async () => {
    const number = ++asked;
    const found = await ask({ check: { text: by("text").value } });
    if (number !== asked) return;
    mistakes(found.mistakes ?? (found.error ? [{ line: 1, column: 1, path: "", text: found.error }] : []));
    if (found.mistakes || found.error) return;
    show(by("graph"), found.svg);
    fill(found);
    await play();
  };
  let waiting = 0;
  const soon = (what) => { clearTimeout(waiting); waiting = setTimeout(() => what().catch((error) => { by("result").className = "bad"; by("result").textContent = String(error); }), 120); };
  function changed() { soon(() => play()); }
  by("text").addEventListener("input", () => { crash = null; soon(check); });
  for (const id of ["input", "people", "seed"]) by(id).addEventListener("input", changed);
  by("time").addEventListener("input", () => { const until = Number(by("time").value); soon(() => play(until)); });
  by("crash").addEventListener("click", () => { crash = Number(by("time").value); soon(() => play()); });
  by("heal").addEventListener("click", () => { crash = null; soon(() => play()); });
  by("text").value = SAMPLE;
  soon(check);
})();
