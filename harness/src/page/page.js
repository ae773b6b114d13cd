"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const steps = JSON.parse(find("data").textContent);
  const slider = find("slider");
  const groups = Array.from(document.querySelectorAll("[data-step]"));
  const NARROW = 700;
  const last = steps.length - 1;
  let now = 0;

  /* Each step keeps only what it changes. */
  const stateAt = (step) => {
    const state = new Map();
    for (const { changes } of steps.slice(0, step + 1)) {
      for (const [key, value] of changes) state.set(key, value);
    }
    return state;
  };

  const cell = (row, text, tag) => {
    const element = document.createElement(tag);
    element.textContent = text;
    row.append(element);
    return element;
  };

  const show = (step) => {
    now = Math.min(Math.max(step, 0), last);
    slider.value = String(now);
    slider.setAttribute("aria-valuetext", steps[now].words);
    find("words").textContent = steps[now].words;
    const before = now > 0 ? stateAt(now - 1) : new Map();
    const body = find("state");
    body.replaceChildren();
    for (const [key, value] of stateAt(now)) {
      const row = document.createElement("tr");
      cell(row, key, "th").scope = "row";
      const told = cell(row, value, "td");
      if (before.get(key) !== value) {
        row.className = "new";
        if (before.has(key)) cell(told, before.get(key), "s");
      }
      body.append(row);
    }
    for (const group of groups) {
      const at = Number(group.dataset.step);
      group.classList.toggle("on", at === now);
      group.classList.toggle("later", at > now);
      if (at === now && group.tagName === "g") group.scrollIntoView({ block: "nearest" });
    }
  };

  const keys = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  document.addEventListener("keydown", (event) => {
    const isPlain = !(event.altKey || event.ctrlKey || event.metaKey);
    if (!isPlain || !(event.key in keys) || event.target.tagName === "TEXTAREA") return;
    event.preventDefault();
    show(now + keys[event.key]);
  });
  slider.addEventListener("input", () => show(Number(slider.value)));
  for (const group of groups) group.addEventListener("click", () => show(Number(group.dataset.step)));
  find("copy").addEventListener("click", () => {
    const source = find("source");
    source.select();
    const done = () => { find("copied").textContent = "copied"; };
    if (navigator.clipboard) navigator.clipboard.writeText(source.value).then(done, () => {});
    else if (document.execCommand("copy")) done();
  });
  /* The lanes do not fit there; the table does. */
  if (window.innerWidth < NARROW) find("table").open = true;
  show(Number(slider.dataset.start));
})();
