// The list of all runs, and the comparison of those that are selected. What is compared is in the
// address, ?compare=A,B, so that Back returns to the list.

import { listRunSummaries } from "../shared/api.js";
import { element } from "../shared/dom.js";
import { loadSettings } from "../shared/storage.js";
import { arrange, COLUMNS } from "./columns.js";
import { hideComparison, showComparison } from "./comparison.js";

const REFRESH_MILLISECONDS = 5000;
const MAX_COMPARED = 6;
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const { key } = loadSettings();
const rows = new Map(); // by name of the run
const view = { filter: "", state: "", sort: "created", descending: true };
let runs = [];
let selected = []; // names, in the order in which they were selected

function start() {
  page.runs.tHead.append(headerRow());
  page.sort.append(...COLUMNS.map((column) => element("option", { value: column.key }, column.title)));
  page.filter.addEventListener("input", () => update({ filter: page.filter.value }));
  page.state.addEventListener("change", () => update({ state: page.state.value }));
  page.sort.addEventListener("change", () => sortBy(page.sort.value));
  page.compare.addEventListener("click", () => open(selected));
  page.back.addEventListener("click", () => open([]));
  window.addEventListener("popstate", () => showAddress(true));
  setInterval(() => document.hidden || page.list.hidden || refresh(), REFRESH_MILLISECONDS);
}

// --- the list -------------------------------------------------------------------------------------

async function refresh() {
  try {
    runs = await listRunSummaries(key);
  } catch (error) {
    page.status.textContent = `Cannot reach the server: ${error.message}`;
    return;
  }
  selected = selected.filter((name) => runs.some((run) => run.name === name));
  update();
}

function update(changes = {}) {
  Object.assign(view, changes);
  const shown = arrange(runs, view);
  page.runs.hidden = !runs.length;
  placeRows(shown.map(rowOf));
  page.sort.value = view.sort;
  for (const header of page.runs.tHead.querySelectorAll("[data-key]")) {
    const direction = view.descending ? "descending" : "ascending";
    header.setAttribute("aria-sort", header.dataset.key === view.sort ? direction : "none");
  }
  showSelection();
  setStatus(describe(shown));
}

function describe(shown) {
  if (!runs.length) return "No runs yet. To start one, run: firstwords train";
  const all = runs.length === 1 ? "1 run" : `${runs.length} runs`;
  const hint = runs.length > 1 ? " Select two or more to compare them." : "";
  return shown.length === runs.length ? `${all}.${hint}` : `${shown.length} of ${all} shown.`;
}

// Only changes are written, so that screen readers do not repeat the status.
function setStatus(text) {
  if (page.status.textContent !== text) page.status.textContent = text;
}

function headerRow() {
  const headers = COLUMNS.map(({ key: name, title }) => {
    const button = element("button", { type: "button", onclick: () => sortBy(name) }, title);
    return element("th", { scope: "col", "data-key": name }, button);
  });
  const label = element("span", { class: "hidden" }, "Select");
  return element("tr", {}, element("th", { scope: "col" }, label), ...headers);
}

function sortBy(name) {
  const column = COLUMNS.find(({ key: known }) => known === name);
  const again = view.sort === name;
  update({ sort: name, descending: again ? !view.descending : Boolean(column.descending) });
}

// Rows are kept, so that focus stays where it is.
function rowOf(run) {
  const row = rows.get(run.name) ?? newRow(run);
  rows.set(run.name, row);
  for (const column of COLUMNS) fillCell(row.cells[column.key], column, run);
  row.node.dataset.state = run.state;
  return row;
}

function newRow({ name }) {
  const box = element("input", { type: "checkbox", "aria-label": `Select ${name}` });
  box.addEventListener("change", () => select(name, box.checked));
  const cells = Object.fromEntries(
    COLUMNS.map(({ key: column, title }) => [
      column,
      column === "name"
        ? element("th", { scope: "row" }, nameLink(name))
        : element("td", { "data-title": title }),
    ]),
  );
  const node = element("tr", {}, element("td", { class: "select" }, box), ...Object.values(cells));
  return { node, box, cells };
}

function nameLink(name) {
  const address = `../training/?${new URLSearchParams({ run: name })}`;
  return element("a", { href: address }, name);
}

function fillCell(cell, column, run) {
  if (column.key === "name") return;
  const text = column.text(run);
  const detail = column.detail?.(run) ?? "";
  const shown = `${text}\n${detail}`;
  if (cell.dataset.shown === shown) return;
  cell.dataset.shown = shown;
  cell.replaceChildren(text, ...(detail ? [element("small", {}, detail)] : []));
}

// Moves only rows that are not in their place.
function placeRows(wanted) {
  const body = page.runs.tBodies[0];
  for (const node of [...body.rows])
    if (!wanted.some((row) => row.node === node)) node.remove();
  wanted.forEach(({ node }, index) => {
    if (body.rows[index] !== node) body.insertBefore(node, body.rows[index] ?? null);
  });
}

function select(name, chosen) {
  selected = selected.filter((other) => other !== name);
  if (chosen) selected.push(name);
  showSelection();
}

function showSelection() {
  for (const [name, { box, node }] of rows) {
    box.checked = selected.includes(name);
    node.classList.toggle("selected", box.checked);
  }
  const many = selected.length > MAX_COMPARED;
  page.compare.disabled = selected.length < 2 || many;
  const count = selected.length ? ` (${selected.length})` : "";
  page.compare.textContent = many ? `Compare at most ${MAX_COMPARED}` : `Compare${count}`;
}

// --- list or comparison ---------------------------------------------------------------------------

function open(names) {
  const url = new URL(location.href);
  if (names.length) url.searchParams.set("compare", names.join(","));
  else url.searchParams.delete("compare");
  history.pushState(null, "", url);
  showAddress(true);
}

function showAddress(focus) {
  const names = new URLSearchParams(location.search).get("compare")?.split(",") ?? [];
  const comparing = names.length > 1;
  page.list.hidden = comparing;
  page.comparison.hidden = !comparing;
  document.title = comparing ? `${names.join(" and ")} compared` : "Firstwords: runs";
  if (comparing) {
    selected = names;
    showComparison(page, names, key);
    if (focus) page["comparison-title"].focus();
  } else {
    hideComparison(page);
    if (focus) (page.compare.disabled ? page.main : page.compare).focus();
    refresh();
  }
}

start();
showAddress(false);
