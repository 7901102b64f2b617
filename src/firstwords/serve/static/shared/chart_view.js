// What charts show of their data, which several charts may share: the x axis, log or linear,
// smoothing, zoom and cursor. And the controls for it, and the download of the data.

import { element } from "./dom.js";

const ZOOM_FACTOR = 2;

// `axes` are [{key, title, unit, max}]: the field of the points that holds x, its title, its unit
// (plain, count or time), and, if known, the largest value planned.
export class ChartView extends EventTarget {
  constructor({ axes = [{ key: "x", title: "x", unit: "plain" }], log = true, smoothing = 0 } = {}) {
    super();
    Object.assign(this, { axes, log, x: axes[0].key, smoothing, zoom: null, cursor: null });
    this.charts = new Set();
  }

  get axis() {
    return this.axes.find((axis) => axis.key === this.x);
  }

  // Changes some of x, log, smoothing, zoom ([from, to] or null) and cursor (an x or null).
  set(changes) {
    const reset = "x" in changes && changes.x !== this.x ? { zoom: null, cursor: null } : {};
    Object.assign(this, reset, changes);
    const moved = Object.keys(changes).every((name) => name === "cursor");
    this.dispatchEvent(new Event(moved ? "cursor" : "change"));
  }

  // The whole range of x: planned, and all data.
  get range() {
    const ends = [...this.charts].map((chart) => chart.lastX());
    const starts = [...this.charts].map((chart) => chart.firstX());
    const to = Math.max(this.axis.max ?? -Infinity, ...ends);
    const from = this.axis.unit === "plain" ? Math.min(...starts) : 0;
    if (!Number.isFinite(to - from)) return [0, 1];
    return to > from ? [from, to] : [from, from + 1];
  }

  get shown() {
    return this.zoom ?? this.range;
  }

  zoomBy(factor) {
    const [from, to] = this.shown;
    const [first, last] = this.range;
    const centre = this.cursor ?? Math.min((from + to) / 2, Math.max(...this.lastXs(), from));
    const zoomed = [centre - (centre - from) / factor, centre + (to - centre) / factor];
    const inside = [Math.max(first, zoomed[0]), Math.min(last, zoomed[1])];
    const isWhole = inside[0] <= first && inside[1] >= last;
    this.set({ zoom: isWhole ? null : inside });
  }

  lastXs() {
    return [...this.charts].map((chart) => chart.lastX()).filter(Number.isFinite);
  }

  // All data as CSV, a row for each point.
  csv() {
    const keys = this.axes.map((axis) => axis.key);
    const place = (point) => keys.map((key) => point[key]);
    const rows = [["chart", "series", ...keys, "value", "low", "high"]];
    for (const { label, series } of this.charts)
      for (const { name, points } of series)
        for (const point of points)
          rows.push([label, name, ...place(point), point.y, point.low, point.high]);
    return rows.map((row) => `${row.map(csvField).join(",")}\r\n`).join("");
  }
}

function csvField(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// The controls of a view, as one element. `fileName` names the CSV file; `offersLog` is false for
// charts that are always linear.
export function viewControls(
  view,
  { fileName = "chart.csv", label = "Charts", offersLog = true } = {},
) {
  const button = (text, onclick, attributes = {}) =>
    element("button", { type: "button", onclick, ...attributes }, text);
  const reset = button("Full range", () => view.set({ zoom: null }));
  const showZoom = () => reset.setAttribute("aria-pressed", String(!view.zoom));
  view.addEventListener("change", showZoom);
  showZoom();
  return element(
    "div",
    { class: "chart-controls", role: "group", "aria-label": label },
    ...(view.axes.length > 1 ? [axisControl(view)] : []),
    smoothingControl(view),
    ...(offersLog ? [logControl(view)] : []),
    button("+", () => view.zoomBy(ZOOM_FACTOR), { "aria-label": "Zoom in" }),
    button("−", () => view.zoomBy(1 / ZOOM_FACTOR), { "aria-label": "Zoom out" }),
    reset,
    button("CSV", () => download(fileName, view.csv())),
  );
}

function axisControl(view) {
  const options = view.axes.map(({ key, title }) => element("option", { value: key }, title));
  const change = (event) => view.set({ x: event.target.value });
  const select = element("select", { onchange: change }, ...options);
  select.value = view.x;
  return element("label", {}, "Over ", select);
}

function smoothingControl(view) {
  const change = (event) => view.set({ smoothing: Number(event.target.value) });
  const limits = { min: 0, max: 0.98, step: 0.02 };
  const slider = element("input", { type: "range", ...limits, oninput: change });
  slider.value = view.smoothing;
  return element("label", {}, "Smoothing ", slider);
}

function logControl(view) {
  const change = (event) => view.set({ log: event.target.checked });
  const box = element("input", { type: "checkbox", onchange: change });
  box.checked = view.log;
  return element("label", {}, box, " Logarithmic");
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url));
}
