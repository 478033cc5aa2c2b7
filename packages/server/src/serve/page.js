// Replaces the content of the page when something has changed. Without scripts the pages work, and are reloaded by hand.
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  let waiting = false;
  // What is being typed is not replaced.
  const busy = () => {
    const at = document.activeElement;
    return at && at !== document.body && main.contains(at) && at.matches("input, select, button");
  };
  const renew = async () => {
    if (waiting) return;
    waiting = true;
    while (busy()) await new Promise((done) => setTimeout(done, 500));
    waiting = false;
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (next) main.replaceChildren(...next.childNodes);
  };
  const source = new EventSource(main.dataset.live);
  source.addEventListener("change", renew);
})();
