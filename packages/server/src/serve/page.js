// Renews the parts of a page when something has changed. Without scripts the pages work, and are reloaded by hand.
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  // Boxes that were opened stay open.
  const open = () => new Set([...main.querySelectorAll("details[open]")].map((box) => box.id || box.querySelector("summary").getAttribute("aria-label")));
  const renew = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.redirected || !answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (!next) return;
    const opened = open();
    for (const box of next.querySelectorAll("details")) {
      const name = box.id || box.querySelector("summary").getAttribute("aria-label");
      if (name && opened.has(name)) box.open = true;
    }
    for (const part of [...main.children]) {
      const fresh = part.id && next.querySelector(`:scope > [id="${part.id}"]`);
      if (!fresh || fresh.outerHTML === part.outerHTML) continue;
      // What is being typed or chosen is not replaced; the next change renews it.
      const at = document.activeElement;
      if (part.contains(at) && at.matches("input, select, textarea, button, summary")) { later = true; continue; }
      const scrolled = [...part.querySelectorAll(".scroll, .picture")].map((box) => [box.scrollLeft, box.scrollTop]);
      part.replaceWith(fresh);
      [...fresh.querySelectorAll(".scroll, .picture")].forEach((box, at) => { if (scrolled[at]) [box.scrollLeft, box.scrollTop] = scrolled[at]; });
    }
  };
  let busy = false, again = false, later = false;
  const changed = async () => {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      try { await renew(); } catch { /* The connection is lost: the stream of changes reconnects, and renews. */ }
    }
    busy = false;
  };
  main.addEventListener("focusout", () => { if (later) { later = false; setTimeout(changed, 0); } });
  const source = new EventSource(main.dataset.live);
  source.addEventListener("change", changed);
  // What happened while there was no connection.
  source.addEventListener("open", changed);
})();
