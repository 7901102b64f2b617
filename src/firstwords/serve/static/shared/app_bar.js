// The bar at the top of every page, <app-bar page="chat">: the selected run, links to all pages, the
// theme, and the keyboard shortcuts. Its styles are in app_bar.css. A page uses it like this:
//
//   const bar = document.querySelector("app-bar");
//   await bar.ready;        // after the first request for the runs, even if it failed
//   bar.run                 // name of the selected run, or null if there is none
//   bar.runs                // the runs as GET /v1/runs describes them, the newest first
//   bar.selectRun("name");  // as if selected by hand; null follows the newest run
//   bar.refresh();          // asks for the runs now; the bar does so every ten seconds
//   bar.addEventListener("runchange", …);   // after `ready`, bar.run has changed
//   bar.addEventListener("runschange", …);  // after `ready`, bar.runs has changed
//   bar.addShortcuts("Chat", [{ keys: "Ctrl+Shift+O", title: "New chat", action: () => … }]);
//
// The selected run is in the address, ?run=NAME, and stored for the next page. If no run is selected,
// bar.run is the newest one, so it changes when a new run starts. shortcuts.js describes shortcuts.

import { listModels, listRunSummaries } from "./api.js";
import { element } from "./dom.js";
import { loadPreference, savePreference } from "./preferences.js";
import { describeRun } from "./run_facts.js";
import { Shortcuts } from "./shortcuts.js";
import { loadSettings } from "./storage.js";

const PAGES = [
  { name: "chat", path: "", title: "Chat", key: "c" },
  { name: "training", path: "training/", title: "Training", key: "t" },
  { name: "exam", path: "exam/", title: "Exam", key: "e" },
  { name: "xray", path: "xray/", title: "X-ray", key: "x" },
  { name: "report", path: "report/", title: "Report", key: "r" },
  { name: "runs", path: "runs/", title: "Runs", key: "u" },
  { name: "docs", path: "docs/", title: "Docs", key: "d" },
  { name: "api", path: "api/", title: "API", key: "a" },
];
const THEMES = ["system", "light", "dark"];
const REFRESH_MILLISECONDS = 10_000;
const root = new URL("..", import.meta.url); // relative, so that a proxy may add a prefix

class AppBar extends HTMLElement {
  runs = [];
  run = null;
  #selected = new URLSearchParams(location.search).get("run") || loadPreference("run") || null;
  #shortcuts = new Shortcuts();
  #parts = {};

  connectedCallback() {
    this.setAttribute("role", "navigation");
    this.setAttribute("aria-label", "Firstwords");
    this.#build();
    this.#showTheme(loadPreference("theme") || "system");
    this.#addOwnShortcuts();
    this.ready = this.refresh();
    setInterval(() => document.hidden || this.refresh(), REFRESH_MILLISECONDS);
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
  }

  async refresh() {
    try {
      this.#setRuns(await findRuns());
    } catch {
      // The page itself says that the server does not answer; the next refresh tries again.
    }
  }

  selectRun(name) {
    this.#selected = name;
    savePreference("run", name ?? "");
    this.#update();
  }

  addShortcuts(group, shortcuts) {
    this.#shortcuts.add(group, shortcuts);
  }

  // --- the selected run ---------------------------------------------------------------------------

  #setRuns(runs) {
    const changed = JSON.stringify(runs) !== JSON.stringify(this.runs);
    this.runs = runs;
    this.#update();
    if (changed) this.#announce("runschange");
  }

  #update() {
    const names = this.runs.map(({ name }) => name);
    if (names.length && !names.includes(this.#selected)) this.#selected = null;
    const run = (names.length && this.#selected) || this.#newest() || null;
    const changed = run !== this.run;
    this.run = run;
    if (names.length) this.#storeInUrl();
    this.#showSelect(names);
    this.#showFacts();
    this.#showLinks();
    if (changed) this.#announce("runchange");
  }

  // A run whose files are broken is only selected by hand.
  #newest() {
    return this.runs.find(({ state }) => state !== "broken")?.name;
  }

  #announce(event) {
    this.dispatchEvent(new Event(event));
  }

  #storeInUrl() {
    const url = new URL(location.href);
    if (this.#selected === url.searchParams.get("run")) return;
    if (this.#selected) url.searchParams.set("run", this.#selected);
    else url.searchParams.delete("run");
    history.replaceState(history.state, "", url);
  }

  // --- what it looks like -------------------------------------------------------------------------

  #build() {
    const icon = new URL("icon.svg", import.meta.url).href;
    const brand = element(
      "a",
      { class: "brand", href: root.href, "aria-label": "Firstwords" },
      element("img", { src: icon, alt: "", width: "24", height: "24" }),
      element("span", {}, "Firstwords"),
    );
    const select = element("select", { "aria-label": "Run", hidden: "" });
    select.addEventListener("change", () => this.selectRun(select.value || null));
    const menu = element(
      "button",
      { type: "button", class: "menu", "aria-expanded": "false", "aria-controls": "app-bar-panel" },
      drawing("M2 4h12M2 8h12M2 12h12"),
      element("span", {}, "Menu"),
    );
    menu.addEventListener("click", () => this.#openMenu(!this.classList.contains("open")));
    const facts = element("ul", { class: "facts", "aria-label": "Selected run", hidden: "" });
    const links = PAGES.map((page) => this.#pageLink(page));
    const theme = element("button", { type: "button", class: "theme" });
    theme.addEventListener("click", () => this.#nextTheme());
    const keys = element(
      "button",
      { type: "button", class: "keys", title: "Keyboard shortcuts (?)" },
      element("span", { class: "sign", "aria-hidden": "true" }, "?"),
      element("span", { class: "label" }, "Keyboard shortcuts"),
    );
    keys.addEventListener("click", () => this.#showShortcuts());
    const pages = element("ul", { class: "pages", "aria-label": "Pages" }, ...links);
    const panel = element("div", { class: "panel", id: "app-bar-panel" }, facts, pages, theme, keys);
    this.#parts = { brand, select, menu, facts, pages, theme };
    this.replaceChildren(...skipButton(), brand, select, menu, panel);
    this.#closeMenuOnLeave();
  }

  #pageLink({ name, path, title }) {
    const current = name === this.getAttribute("page") ? { "aria-current": "page" } : {};
    return element("li", {}, element("a", { href: new URL(path, root).href, ...current }, title));
  }

  // Only changes are made, so that an open list stays open.
  #showSelect(names) {
    const { select } = this.#parts;
    const following = `Newest: ${this.#newest() ?? "none"}`;
    const shown = [...select.options].map(({ text }) => text);
    if (shown.join("/") !== [following, ...names].join("/")) {
      select.replaceChildren(
        element("option", { value: "" }, following),
        ...names.map((name) => element("option", { value: name }, name)),
      );
    }
    select.value = this.#selected ?? "";
    select.hidden = !names.length;
  }

  #showFacts() {
    const { facts } = this.#parts;
    const run = this.runs.find(({ name }) => name === this.run);
    const described = run ? describeRun(run) : [];
    facts.hidden = !described.length;
    facts.replaceChildren(...described.map((fact) => element("li", {}, fact)));
  }

  #showLinks() {
    const { pages, brand } = this.#parts;
    for (const link of [brand, ...pages.querySelectorAll("a")]) {
      const url = new URL(link.href);
      url.search = this.#selected ? new URLSearchParams({ run: this.#selected }) : "";
      link.href = url.href;
    }
  }

  #nextTheme() {
    const current = loadPreference("theme") || "system";
    const theme = THEMES[(THEMES.indexOf(current) + 1) % THEMES.length];
    savePreference("theme", theme);
    this.#showTheme(theme);
  }

  #showTheme(theme) {
    const { dataset } = document.documentElement;
    if (theme === "system") delete dataset.theme;
    else dataset.theme = theme;
    this.#parts.theme.title = `Theme: ${theme}`;
    this.#parts.theme.replaceChildren(
      drawing("M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2z", "M8 2a6 6 0 0 1 0 12z"),
      element("span", { class: "label" }, `Theme: ${theme}`),
    );
  }

  #openMenu(open) {
    this.classList.toggle("open", open);
    this.#parts.menu.setAttribute("aria-expanded", String(open));
  }

  // The menu of a narrow screen closes with Escape, and when focus or pointer go elsewhere.
  #closeMenuOnLeave() {
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.classList.contains("open")) return;
      event.stopPropagation();
      this.#openMenu(false);
      this.#parts.menu.focus();
    });
    document.addEventListener("pointerdown", (event) => {
      if (!this.contains(event.target)) this.#openMenu(false);
    });
    document.addEventListener("focusin", (event) => {
      if (!this.contains(event.target)) this.#openMenu(false);
    });
  }

  // --- shortcuts ----------------------------------------------------------------------------------

  #showShortcuts() {
    const opener = this.classList.contains("open") ? this.#parts.menu : null;
    this.#openMenu(false);
    opener?.focus();
    this.#shortcuts.show();
  }

  #addOwnShortcuts() {
    const links = [...this.#parts.pages.querySelectorAll("a")];
    const pages = PAGES.map(({ title, key }, i) => ({
      keys: `g ${key}`,
      title: `Go to ${title}`,
      action: () => links[i].click(),
    }));
    const list = { keys: "?", title: "Show this list", action: () => this.#showShortcuts() };
    this.#shortcuts.add("All pages", [list, ...pages]);
  }
}

// The runs, the newest first. A model's run may be missing in the list while its files are copied.
async function findRuns() {
  const { key } = loadSettings();
  const [runs, models] = await Promise.all([listRunSummaries(key), listModels(key)]);
  const byName = new Map(runs.map((run) => [run.name, run]));
  for (const { run, created, max_model_len: context } of models) {
    byName.set(run, { name: run, created, context, ...byName.get(run) });
  }
  return [...byName.values()];
}

// Pages without a skip link of their own get one to their main element.
function skipButton() {
  if (document.querySelector(".skip")) return [];
  const button = element("button", { type: "button", class: "skip" }, "Skip to the content");
  button.addEventListener("click", () => {
    const main = document.querySelector("main");
    main.tabIndex = -1;
    main.focus();
  });
  return [button];
}

// A drawing of 16 by 16 units: the first path is an outline, the others are filled.
function drawing(outline, ...filled) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  for (const path of [outline, ...filled]) {
    const node = document.createElementNS(svg.namespaceURI, "path");
    node.setAttribute("d", path);
    node.setAttribute("class", path === outline ? "outline" : "filled");
    svg.append(node);
  }
  return svg;
}

customElements.define("app-bar", AppBar);
