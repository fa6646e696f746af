(() => {
  "use strict";
  const root = document.documentElement;
  const byID = (id) => document.getElementById(id);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // The theme is the system's until the button says otherwise.
  const theme = byID("theme");
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { theme.textContent = isDark() ? "Light theme" : "Dark theme"; };
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  nameTheme();
  theme.hidden = false;

  // Paper shows everything.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach((d) => { d.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((d) => { d.open = false; }));

  const tools = byID("tools");
  if (!tools) return;
  tools.hidden = false;
  const query = byID("query");
  const selects = ["severity", "status", "rule"].map(byID).filter(Boolean);
  const findings = all(".finding").map((element) => {
    const made = element.closest(".layer")?.querySelector(".made");
    return { element, text: (element.textContent + " " + (made ? made.textContent : "")).toLowerCase() };
  });
  // What holds findings goes with the last of them, while something is looked for.
  const holders = all(".layer, .group, .stack, .image");

  const show = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const filtering = words.length > 0 || selects.some((s) => s.value !== "");
    let shown = 0;
    for (const { element, text } of findings) {
      const match = words.every((w) => text.includes(w)) && selects.every((s) => s.value === "" || element.dataset[s.id] === s.value);
      element.hidden = !match;
      shown += match ? 1 : 0;
    }
    for (const h of holders) h.hidden = filtering && !h.querySelector(".finding:not([hidden])");
    byID("count").textContent = filtering
      ? `${shown} of ${findings.length} findings` : `${findings.length} ${findings.length === 1 ? "finding" : "findings"}`;
  };

  const open = byID("open");
  let opened = false;
  open.addEventListener("click", () => {
    opened = !opened;
    all(".finding > details").forEach((d) => { d.open = opened; });
    open.textContent = opened ? "Close all" : "Open all";
  });
  query.addEventListener("input", show);
  selects.forEach((s) => s.addEventListener("change", show));
  byID("reset").addEventListener("click", () => {
    query.value = "";
    selects.forEach((s) => { s.value = ""; });
    show();
    query.focus();
  });
  tools.addEventListener("submit", (e) => e.preventDefault());
  show();
})();
