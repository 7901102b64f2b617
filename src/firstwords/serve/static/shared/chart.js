// Line charts as SVG, drawn at their real size, with values at a cursor that mouse, finger and
// keyboard move, smoothing, zoom, and a download of the data.
//
//   const chart = lineChart(container, { label: "Loss", series: [{ name: "first", points }] });
//   chart.update({ series });  // with new data
//   chart.remove();
//
// Options:
//   label    what the chart shows, for screen readers and the CSV file
//   series   [{name, points, markers, style}]. Points are [{x, y, low, high, part}], sorted by x;
//            low and high (an interval) and part are optional. A line breaks, and smoothing starts
//            again, where `part` changes. With `markers`, each point is drawn. `style` is a number
//            from 0 for colour, dashes and marker; by default the position in the list.
//   bands    [{name, from, to}]: shaded parts of the x axis, with their names; from and to are
//            points without y
//   log      false for a chart that is always linear; others follow the view
//   unit     of y: plain, count or time
//   view     a ChartView shared with other charts, of which the page shows `viewControls`. Without
//            one, the chart has its own view and controls. Its `axes` say which fields of the
//            points are x (a page may offer several), and how far the axis is planned to go:
//            new ChartView({ axes: [{ key: "tokens", title: "Tokens", unit: "count", max: 3e7 }] })
//   height   in pixels
//
// Needs chart.css. Lines differ in colour, dashes and markers: see STYLES.

import { axisTicks, formatValue, movingAverage, nearestIndex, valueDomain } from "./chart_scale.js";
import { ChartView, viewControls } from "./chart_view.js";
import { element } from "./dom.js";

export { ChartView, viewControls };

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { right: 12, top: 22, bottom: 26 };
const CHARACTER = 7.5; // pixels, at least as wide as a digit of a label
const LABEL_LENGTH = 4; // of y, at least, so that charts of one page line up
const MARKER_DISTANCE = 90; // pixels between the markers that only tell lines apart
const CURSOR_DISTANCE = 24; // pixels from a point within which the cursor shows its value
const DRAG_PIXELS = 8; // below, a drag is a click
const KEY_MOVES = {
  ArrowLeft: -1,
  ArrowRight: 1,
  ArrowDown: -1,
  ArrowUp: 1,
  PageDown: -20,
  PageUp: 20,
};
const STYLES = [
  { dashes: "", marker: "M-4 0A4 4 0 1 1 4 0A4 4 0 1 1 -4 0Z" },
  { dashes: "7 3", marker: "M-3.5 -3.5H3.5V3.5H-3.5Z" },
  { dashes: "2 3", marker: "M0 -4.5L4.5 3.5H-4.5Z" },
  { dashes: "9 3 2 3", marker: "M0 -5L5 0L0 5L-5 0Z" },
  { dashes: "12 4", marker: "M0 4.5L4.5 -3.5H-4.5Z" },
  { dashes: "4 2", marker: "M-4 -1H-1V-4H1V-1H4V1H1V4H-1V1H-4Z" },
];

export function lineChart(container, options) {
  return new LineChart(container, options);
}

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

class LineChart {
  constructor(container, { view, ...options }) {
    Object.assign(this, { series: [], bands: [], log: true, unit: "plain", height: 240 }, options);
    this.view = view ?? new ChartView();
    this.svg = svg("svg", { "aria-hidden": "true" });
    this.plot = element("div", { class: "chart-plot", tabindex: 0, role: "slider" }, this.svg);
    this.legend = element("p", { class: "chart-legend" });
    this.figure = element("figure", { class: "chart" }, this.legend, this.plot);
    if (!view) this.figure.prepend(viewControls(this.view, { label: this.label }));
    container.replaceChildren(this.figure);
    this.#listen();
    this.view.charts.add(this);
    this.draw();
  }

  update(options) {
    const range = String(this.view.range);
    Object.assign(this, options);
    // Charts that share a view share its x axis, which the new data may have made longer.
    if (String(this.view.range) === range) this.draw();
    else this.view.dispatchEvent(new Event("change"));
  }

  remove() {
    this.resizes.disconnect();
    this.listeners.abort();
    this.view.charts.delete(this);
    this.figure.remove();
  }

  firstX() {
    return Math.min(...this.series.map(({ points }) => points[0]?.[this.view.x] ?? Infinity));
  }

  lastX() {
    return Math.max(...this.series.map(({ points }) => points.at(-1)?.[this.view.x] ?? -Infinity));
  }

  draw() {
    this.width = this.plot.clientWidth;
    if (!this.width) return; // hidden; drawn when shown, by the ResizeObserver
    this.lines = this.series.map((series, index) => prepareLine(series, index, this.view));
    this.axes = makeAxes(this);
    this.svg.setAttribute("width", this.width);
    this.svg.setAttribute("height", this.height);
    this.cursorLayer = svg("g");
    const clip = clipped(this.axes, this.height);
    clip.append(...this.lines.flatMap((line) => drawLine(line, this.axes)));
    const bands = this.bands.flatMap((band, index) => drawBand(band, index, this));
    this.svg.replaceChildren(...bands, ...drawAxes(this), clip, this.cursorLayer);
    this.drawCursor();
  }

  drawCursor() {
    if (!this.axes) return;
    const { cursor, axis } = this.view;
    const values = this.lines.map((line) => valueAt(line, cursor, this.axes));
    this.cursorLayer.replaceChildren(
      ...(cursor === null ? [] : cursorNodes(this.lines, values, cursor, this)),
    );
    const position = cursor === null ? "latest" : describeX(cursor, axis, this);
    const items = this.lines.map((line, index) => legendItem(line, values[index], this.unit));
    this.legend.replaceChildren(element("span", { class: "chart-x" }, position), ...items);
    this.#describe(position, values);
  }

  // The plot is a slider for screen readers: its value is the cursor, its text all values there.
  #describe(position, values) {
    const [from, to] = this.view.shown;
    const textOf = ({ name }, index) => `${name} ${valueText(values[index], this.unit)}`;
    const texts = this.lines.map(textOf);
    const attributes = {
      "aria-label": this.label,
      "aria-valuemin": from,
      "aria-valuemax": to,
      "aria-valuenow": this.view.cursor ?? to,
      "aria-valuetext": texts.length ? `${position}: ${texts.join(", ")}` : "no data yet",
    };
    for (const [name, value] of Object.entries(attributes)) this.plot.setAttribute(name, value);
  }

  #listen() {
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    this.view.addEventListener("change", () => this.draw(), { signal });
    this.view.addEventListener("cursor", () => this.drawCursor(), { signal });
    this.resizes = new ResizeObserver(() => this.plot.clientWidth !== this.width && this.draw());
    this.resizes.observe(this.plot);
    this.plot.addEventListener("keydown", (event) => this.#press(event));
    this.plot.addEventListener("blur", () => this.view.set({ cursor: null }));
    this.plot.addEventListener("pointerdown", (event) => this.#startDrag(event));
    this.plot.addEventListener("pointermove", (event) => this.#move(event));
    this.plot.addEventListener("pointerup", (event) => this.#endDrag(event));
    this.plot.addEventListener("pointercancel", () => this.#clearDrag());
    this.plot.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !this.drag) this.view.set({ cursor: null });
    });
    this.plot.addEventListener("dblclick", () => this.view.set({ zoom: null }));
  }

  #press(event) {
    const actions = {
      Home: () => this.#moveTo(0),
      End: () => this.#moveTo(Infinity),
      Escape: () => this.view.set({ cursor: null, zoom: null }),
      "+": () => this.view.zoomBy(2),
      "-": () => this.view.zoomBy(1 / 2),
      0: () => this.view.set({ zoom: null }),
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in KEY_MOVES) this.#moveBy(KEY_MOVES[event.key]);
    else if (event.key in actions) actions[event.key]();
    else return;
    event.preventDefault();
  }

  // The x of all points shown, in order: where the cursor can stand.
  #stops() {
    const [from, to] = this.view.shown;
    const xs = this.lines.flatMap((line) => line.xs.filter((x) => x >= from && x <= to));
    return [...new Set(xs)].sort((a, b) => a - b);
  }

  #moveBy(change) {
    const stops = this.#stops();
    const { cursor } = this.view;
    const index = cursor === null ? stops.length - Math.sign(change) : nearestIndex(stops, cursor);
    this.#moveTo(index + change, stops);
  }

  #moveTo(index, stops = this.#stops()) {
    const inside = Math.max(0, Math.min(index, stops.length - 1));
    if (stops.length) this.view.set({ cursor: stops[inside] });
  }

  #xOf(event) {
    const pixels = event.clientX - this.plot.getBoundingClientRect().left;
    const [from, to] = this.view.shown;
    return Math.max(from, Math.min(to, this.axes.xAt(pixels)));
  }

  #startDrag(event) {
    if (event.button || !this.axes) return;
    if (event.pointerType === "touch") this.#setCursor(event);
    else {
      this.drag = { pixels: event.clientX, x: this.#xOf(event) };
      this.plot.setPointerCapture(event.pointerId);
    }
  }

  #move(event) {
    if (!this.axes) return;
    this.#setCursor(event);
    if (this.drag) this.cursorLayer.prepend(selectionNode(this.drag.x, this.#xOf(event), this));
  }

  #setCursor(event) {
    const stops = this.#stops();
    const nearest = stops[nearestIndex(stops, this.#xOf(event))];
    if (nearest !== undefined) this.view.set({ cursor: nearest });
  }

  #endDrag(event) {
    const { drag } = this;
    this.#clearDrag();
    if (!drag || Math.abs(event.clientX - drag.pixels) < DRAG_PIXELS) return;
    const ends = [drag.x, this.#xOf(event)].sort((a, b) => a - b);
    if (ends[1] > ends[0]) this.view.set({ zoom: ends });
  }

  #clearDrag() {
    this.drag = null;
    this.drawCursor();
  }
}

function styleOf(index) {
  const number = index % STYLES.length;
  return { ...STYLES[number], class: `chart-style-${number}` };
}

// A series with its x values and with the smoothed values as `ys`; parts smooth on their own.
function prepareLine(series, index, view) {
  const points = series.points.filter((point) => Number.isFinite(point[view.x] + point.y));
  const xs = points.map((point) => point[view.x]);
  const parts = splitParts(points);
  const weight = series.markers ? 0 : view.smoothing;
  const ys = parts.flatMap((part) => movingAverage(part.map((point) => point.y), weight));
  const style = styleOf(series.style ?? index);
  return { ...series, points, parts, xs, ys, style, smoothed: weight > 0 };
}

function splitParts(points) {
  const parts = [];
  for (const point of points) {
    if (parts.length && parts.at(-1)[0].part === point.part) parts.at(-1).push(point);
    else parts.push([point]);
  }
  return parts;
}

// Maps values to pixels (x, y) and pixels to x (xAt), with the ticks of both axes.
function makeAxes({ lines, view, width, height, unit, log: mayBeLog }) {
  const log = view.log && mayBeLog;
  const [from, to] = view.shown;
  const domain = valueDomain(shownValues(lines, from, to, log), log);
  const scale = log ? Math.log10 : (value) => value;
  const [bottom, top] = domain.map(scale);
  const end = height - MARGIN.bottom;
  const y = (value) => end - ((scale(value) - bottom) / (top - bottom)) * (end - MARGIN.top);
  const tickRange = { from: domain[0], to: domain[1], log, unit };
  const yTicks = axisTicks({ ...tickRange, position: y, size: () => 30 });
  const left = 12 + CHARACTER * Math.max(LABEL_LENGTH, ...yTicks.map(({ label }) => label.length));
  const right = width - MARGIN.right;
  const x = (value) => left + ((value - from) / (to - from)) * (right - left);
  const xAt = (pixels) => from + ((pixels - left) / (right - left)) * (to - from);
  const size = (label) => CHARACTER * label.length + 20;
  const xTicks = axisTicks({ from, to, unit: view.axis.unit, position: x, size });
  return { key: view.x, log, left, right, end, x, y, xAt, xTicks, yTicks };
}

function shownValues(lines, from, to, log) {
  const values = lines.flatMap((line) =>
    line.points.flatMap((point, index) => {
      const shown = line.xs[index] >= from && line.xs[index] <= to;
      const { y, low = y, high = y } = point;
      return shown ? [line.smoothed ? line.ys[index] : y, low, high] : [];
    }),
  );
  return log ? values.filter((value) => value > 0) : values;
}

function drawAxes({ axes, width }) {
  const { left, right, end, x, y } = axes;
  const lines = axes.yTicks.map(({ value }) =>
    svg("line", { class: "chart-grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
  );
  const yLabels = axes.yTicks.map(({ value, label }) =>
    svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, label),
  );
  const xLabels = axes.xTicks.map(({ value, label }) => {
    const half = (CHARACTER * label.length) / 2;
    const centre = Math.min(x(value), width - half);
    return svg("text", { x: centre, y: end + 18, "text-anchor": "middle" }, label);
  });
  const base = svg("line", { class: "chart-base", x1: left, x2: right, y1: end, y2: end });
  return [...lines, base, ...yLabels, ...xLabels];
}

// Every second band is shaded; names that do not fit are left out.
function drawBand({ name, from, to }, index, { axes, view }) {
  const [start, end] = view.shown;
  const x1 = axes.x(Math.max(from[view.x], start));
  const x2 = axes.x(Math.min(to[view.x], end));
  if (!(x2 > x1)) return [];
  const size = { x: x1, y: MARGIN.top - 18, width: x2 - x1, height: axes.end - MARGIN.top + 18 };
  const shade = svg("rect", { class: index % 2 ? "chart-band odd" : "chart-band", ...size });
  const fits = CHARACTER * name.length + 8 < x2 - x1;
  return fits ? [shade, svg("text", { x: x1 + 6, y: MARGIN.top - 5 }, name)] : [shade];
}

// Hides what zoom leaves outside of the axes, but no marker at their ends.
function clipped({ left, right }, height) {
  const [x, width] = [left - 6, right - left + 12];
  return svg("svg", { x, width, height, viewBox: `${x} 0 ${width} ${height}` });
}

function drawLine(line, axes) {
  const { style, smoothed } = line;
  const raw = smoothed ? [path(line, axes, (_, point) => point.y, `${style.class} chart-raw`)] : [];
  const own = path(line, axes, (index) => line.ys[index], style.class);
  own.setAttribute("stroke-dasharray", style.dashes);
  const measured = line.markers ? line.points : [];
  const intervals = measured.flatMap((point) => intervalNode(line, point, axes));
  return [...raw, own, ...intervals, ...markers(line, axes)];
}

function path(line, axes, valueOf, name) {
  let [index, data] = [0, ""];
  for (const part of line.parts) {
    let command = "M";
    for (const point of part) {
      const value = valueOf(index, point);
      if (!axes.log || value > 0) {
        data += `${command}${axes.x(line.xs[index]).toFixed(1)} ${axes.y(value).toFixed(1)}`;
        command = "L";
      }
      index += 1;
    }
  }
  return svg("path", { class: `chart-line ${name}`, d: data });
}

function intervalNode({ style }, point, axes) {
  if (point.low === undefined || (axes.log && point.low <= 0)) return [];
  const x = axes.x(point[axes.key]);
  const ends = { x1: x, x2: x, y1: axes.y(point.low), y2: axes.y(point.high) };
  return [svg("line", { class: `chart-line ${style.class}`, ...ends })];
}

// Every point if the series asks for it; otherwise a few that tell the lines apart.
function markers(line, axes) {
  let before = -Infinity;
  const nodes = [];
  for (const [index, x] of line.xs.entries()) {
    const far = axes.x(x) - before >= MARKER_DISTANCE || index === line.xs.length - 1;
    if ((line.markers || far) && !(axes.log && line.ys[index] <= 0)) {
      before = axes.x(x);
      nodes.push(marker(line.style, before, axes.y(line.ys[index])));
    }
  }
  return nodes;
}

function marker(style, x, y) {
  const transform = `translate(${x.toFixed(1)} ${y.toFixed(1)})`;
  return svg("path", { class: `chart-marker ${style.class}`, d: style.marker, transform });
}

// {y, x, point} of a line at the cursor, or at its end without one; null where there is no line.
function valueAt(line, cursor, axes) {
  if (!line.xs.length) return null;
  const index = cursor === null ? line.xs.length - 1 : nearestIndex(line.xs, cursor);
  const x = line.xs[index];
  const inside = cursor >= line.xs[0] && cursor <= line.xs.at(-1);
  const near = cursor === null || inside || Math.abs(axes.x(x) - axes.x(cursor)) < CURSOR_DISTANCE;
  return near ? { x, y: line.ys[index], point: line.points[index] } : null;
}

function cursorNodes(lines, values, cursor, { axes }) {
  const x = axes.x(cursor);
  const ends = { x1: x, x2: x, y1: MARGIN.top, y2: axes.end };
  const vertical = svg("line", { class: "chart-cursor", ...ends });
  const dots = lines.flatMap((line, index) => {
    const value = values[index];
    if (!value || (axes.log && value.y <= 0)) return [];
    const place = { cx: axes.x(value.x), cy: axes.y(value.y), r: 5 };
    return [svg("circle", { class: `chart-dot ${line.style.class}`, ...place })];
  });
  return [vertical, ...dots];
}

function selectionNode(start, end, { axes }) {
  const [from, to] = [axes.x(start), axes.x(end)].sort((a, b) => a - b);
  const size = { x: from, y: MARGIN.top, width: to - from, height: axes.end - MARGIN.top };
  return svg("rect", { class: "chart-selection", ...size });
}

function describeX(x, axis, { bands, view }) {
  const band = bands.find(({ from, to }) => x >= from[view.x] && x <= to[view.x]);
  const position = `${formatValue(x, axis.unit)} ${axis.title.toLowerCase()}`;
  return band ? `${position}, ${band.name}` : position;
}

function legendItem(line, value, unit) {
  const size = { width: 34, height: 12 };
  const swatch = svg("svg", { class: "chart-swatch", ...size, "aria-hidden": "true" });
  const dashes = { "stroke-dasharray": line.style.dashes };
  swatch.append(
    svg("path", { class: `chart-line ${line.style.class}`, d: "M1 6H33", ...dashes }),
    marker(line.style, 17, 6),
  );
  const text = element("b", {}, valueText(value, unit));
  return element("span", { class: "chart-item" }, swatch, ` ${line.name} `, text);
}

function valueText(value, unit) {
  if (!value) return "–";
  const { low, high } = value.point;
  const text = formatValue(value.y, unit);
  if (low === undefined) return text;
  return `${text} (${formatValue(low, unit)} to ${formatValue(high, unit)})`;
}
