// Attention: a small map for every head, and a larger one of the selected head.

import { element } from "../shared/dom.js";
import { formatPercent } from "./state.js";
import { tokenStrip } from "./token_strip.js";

const PATTERNS = {
  first: "to the first token",
  before: "to the previous token",
  itself: "to itself",
  repeat: "to the token after an earlier occurrence of the same token",
};
const MAX_LABELS = 32; // tokens whose texts fit beside the rows of a map
let groupCount = 0;

export function attentionView(state, stage) {
  const closeUp = element("div", { class: "close-up" });
  const strip = fillCloseUp(state, stage, closeUp);
  return [element("div", { class: "maps" }, headMaps(state, stage), closeUp), strip];
}

function headMaps(state, stage) {
  const group = `heads-${++groupCount}`;
  const heads = stage.attention.flatMap((layerRows, layer) =>
    layerRows.map((rows, head) => ({ layer, head, rows })),
  );
  const labels = heads.map(({ layer, head, rows }) => {
    const radio = element("input", { type: "radio", name: group, class: "hidden" });
    radio.addEventListener("change", () => state.select({ layer, head }));
    state.onChange(() => (radio.checked = layer === state.layer && head === state.head));
    const text = element("span", {}, `layer ${layer + 1}, head ${head + 1}`);
    return element("label", { class: "head" }, radio, mapCanvas(rows), text);
  });
  const maps = element("fieldset", { class: "heads" }, element("legend", {}, "Heads"), ...labels);
  maps.style.setProperty("--heads", stage.model.heads);
  return maps;
}

// One pixel for each pair of tokens; CSS enlarges it.
function mapCanvas(rows) {
  const size = { width: rows.length, height: rows.length };
  const canvas = element("canvas", { ...size, "aria-hidden": "true" });
  paintMap(canvas, rows);
  return canvas;
}

function paintMap(canvas, rows) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(rows.length, rows.length);
  rows.forEach((row, y) =>
    row.forEach((weight, x) => {
      // Black with this opacity; xray.css inverts it in dark mode.
      pixels.data.set([0, 0, 0, Math.round(255 * weight)], 4 * (y * rows.length + x));
    }),
  );
  context.putImageData(pixels, 0, 0);
}

// Fills `closeUp` with the selected head, and returns the token strip to put below it.
function fillCloseUp(state, stage, closeUp) {
  const canvas = element("canvas");
  const selectedRow = element("div", { class: "row" });
  const map = element("div", { class: "map" }, canvas, selectedRow);
  const large = element("div", { class: "large", "aria-hidden": "true" }, map);
  const labels = stage.tokens.map((_, row) => element("span", {}, state.textAt(stage, row)));
  large.style.setProperty("--rows", labels.length);
  if (labels.length <= MAX_LABELS) large.prepend(element("div", { class: "labels" }, ...labels));
  const title = element("p", { class: "title" });
  const patterns = element("ul", { class: "patterns" });
  const details = element("p", { class: "details" });
  closeUp.append(title, large, patterns, details);
  let rows;
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = cellAt(event, canvas, rows.length);
    if (x <= y) details.textContent = describeWeight(state, stage, rows[y], y, x);
  });
  canvas.addEventListener("click", (event) => {
    state.select({ position: cellAt(event, canvas, rows.length)[1] });
  });
  state.onChange(() => {
    rows = selectedHead(state, stage);
    canvas.width = canvas.height = rows.length;
    paintMap(canvas, rows);
    selectedRow.style.top = `${(100 * state.positionIn(stage)) / rows.length}%`;
    selectedRow.style.height = `${100 / rows.length}%`;
    title.textContent = `Layer ${state.layer + 1}, head ${state.head + 1}`;
    patterns.replaceChildren(...patternItems(stage.heads[state.layer][state.head]));
    details.textContent = describeLargestWeight(state, stage, rows);
  });
  const figureAt = (position) => {
    const weight = selectedHead(state, stage)[state.positionIn(stage)][position];
    return { text: weight === undefined ? "" : formatPercent(weight), shade: weight ?? 0 };
  };
  return tokenStrip(state, stage, "Attention of the selected token to each token", figureAt);
}

// The column and row of a map of `size` rows that the pointer is over.
function cellAt(event, canvas, size) {
  const box = canvas.getBoundingClientRect();
  const cell = (offset, length) =>
    Math.min(size - 1, Math.max(0, Math.floor((offset / length) * size)));
  return [cell(event.clientX - box.left, box.width), cell(event.clientY - box.top, box.height)];
}

function selectedHead(state, stage) {
  return stage.attention[state.layer][state.head];
}

function patternItems(weights) {
  return Object.entries(PATTERNS).map(([name, description]) => {
    const weight = weights[name];
    const figure = weight === null ? "does not occur" : formatPercent(weight);
    return element("li", {}, `${description}: ${figure}`);
  });
}

function describeWeight(state, stage, row, position, other) {
  const [from, to] = [position, other].map((index) => state.textAt(stage, index));
  return `“${from}” pays ${formatPercent(row[other])} of its attention to “${to}”.`;
}

function describeLargestWeight(state, stage, rows) {
  const position = state.positionIn(stage);
  const row = rows[position];
  return describeWeight(state, stage, row, position, row.indexOf(Math.max(...row)));
}
