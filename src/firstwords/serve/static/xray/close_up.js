// The map of the selected head: tokens beside its rows and columns, a scale, and the weight at the
// pointer. Arrow keys move the cell that is read.

import { element } from "../shared/dom.js";
import { inkOf, labelledPositions, paintMap } from "./attention_map.js";
import { formatPercent } from "./state.js";

const LABEL_PITCH = 14; // CSS pixels from one label to the next
const SCALE = [0.01, 0.1, 0.5, 1];
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export function closeUpMap(state, stage) {
  const parts = mapParts();
  // cell: [row, column] of the readout; size: of the map in CSS pixels, 0 while it is not visible
  const view = { state, stage, parts, cell: null, size: 0 };
  parts.details.id = `cell-${stage.stage}`;
  new ResizeObserver(() => {
    view.size = parts.canvas.clientWidth;
    paintMap(parts.canvas, selectedRows(view));
    showLabels(view);
  }).observe(parts.canvas);
  state.onChange(() => {
    paintMap(parts.canvas, selectedRows(view));
    view.cell = null;
    showCell(view);
  }, "layer", "head");
  state.onChange(() => {
    if (view.cell?.[0] !== state.positionIn(stage)) view.cell = null;
    showCell(view);
  }, "position");
  followPointer(view);
  followKeys(view);
  return element("div", {}, parts.large, scaleBar(), parts.details);
}

function mapParts() {
  const canvas = element("canvas");
  const row = element("span", { class: "row" });
  const column = element("span", { class: "column-mark" });
  const readout = element("span", { class: "readout" });
  const label = "Attention map. Up and down choose a token, left and right a token it attends to.";
  const map = element(
    "div",
    { class: "map", tabindex: "0", role: "application", "aria-label": label },
    canvas,
    row,
    column,
    readout,
  );
  const rows = axis("row-labels");
  const columns = axis("column-labels");
  const large = element("div", { class: "large" }, columns.node, rows.node, map);
  const details = element("p", { class: "details", role: "status" });
  return { canvas, row, column, readout, map, axes: [rows, columns], large, details };
}

// Where labels are, and those that are there, by position.
function axis(kind) {
  return { node: element("div", { class: kind, "aria-hidden": "true" }), labels: new Map() };
}

function selectedRows({ state, stage }) {
  return stage.attention[state.layer][state.head];
}

// The cell that is read: the one chosen, or the largest weight of the selected token.
function shownCell(view) {
  if (view.cell) return view.cell;
  const position = view.state.positionIn(view.stage);
  const row = selectedRows(view)[position];
  return [position, row.indexOf(Math.max(...row))];
}

function showCell(view) {
  const { state, stage, parts } = view;
  const [row, column] = shownCell(view);
  const [from, to] = [row, column].map((position) => state.textAt(stage, position));
  const weight = formatPercent(selectedRows(view)[row][column]);
  parts.details.textContent = `“${from}” pays ${weight} of its attention to “${to}”.`;
  parts.readout.hidden = !view.cell;
  parts.readout.textContent = `${from} → ${to}  ${weight}`;
  const count = stage.tokens.length;
  parts.map.style.setProperty("--row", row / count);
  parts.map.style.setProperty("--column", column / count);
  parts.map.style.setProperty("--cell", 1 / count);
  parts.readout.classList.toggle("to-left", column > count / 2);
  parts.readout.classList.toggle("below", row < count / 4);
  showLabels(view);
}

function showLabels(view) {
  const { state, stage, parts } = view;
  const count = stage.tokens.length;
  if (!view.size) return;
  const step = Math.max(1, Math.ceil((count * LABEL_PITCH) / view.size));
  const cell = shownCell(view);
  const labelOf = (position) => {
    const label = element("span", {}, state.textAt(stage, position));
    label.style.setProperty("--at", (position + 0.5) / count);
    return label;
  };
  parts.axes.forEach((axis, index) => {
    const chosen = cell[index];
    showAxis(axis, labelledPositions(count, step, [chosen]), chosen, labelOf);
  });
}

// Labels that stay are not touched: a move of the slider changes few of them.
function showAxis({ node, labels }, positions, chosen, labelOf) {
  for (const [position, label] of labels) {
    if (positions.includes(position)) continue;
    label.remove();
    labels.delete(position);
  }
  for (const position of positions) {
    if (!labels.has(position)) labels.set(position, labelOf(position));
    const label = labels.get(position);
    if (!label.parentNode) node.append(label);
    label.className = position === chosen ? "chosen" : "";
  }
}

function chooseCell(view, row, column) {
  view.cell = [row, column];
  if (row === view.state.positionIn(view.stage)) showCell(view);
  else view.state.select({ position: row });
}

// A mouse reads where it is and chooses with a click; a finger does both, and the readout stays.
function followPointer(view) {
  const { map } = view.parts;
  const read = (event) => {
    const [row, column] = cellAt(event, view);
    if (column > row) return;
    view.cell = [row, column];
    showCell(view);
  };
  const choose = (event) => {
    const [row, column] = cellAt(event, view);
    chooseCell(view, row, Math.min(row, column));
  };
  map.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") read(event);
    else if (event.pressure) choose(event);
  });
  map.addEventListener("click", choose);
  map.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "mouse") return;
    view.cell = null;
    showCell(view);
  });
}

function followKeys(view) {
  const { map } = view.parts;
  map.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const [row, column] = shownCell(view);
    const lower = Math.min(view.stage.tokens.length - 1, Math.max(0, row + arrow[0]));
    chooseCell(view, lower, Math.min(lower, Math.max(0, column + arrow[1])));
  });
  map.addEventListener("focus", () => {
    view.cell = shownCell(view);
    showCell(view);
  });
  map.addEventListener("blur", () => {
    view.cell = null;
    showCell(view);
  });
}

// The row and column under the pointer.
function cellAt(event, { stage, parts }) {
  const box = parts.canvas.getBoundingClientRect();
  const last = stage.tokens.length - 1;
  const cell = (offset, length) =>
    Math.min(last, Math.max(0, Math.floor((offset / length) * (last + 1))));
  return [cell(event.clientY - box.top, box.height), cell(event.clientX - box.left, box.width)];
}

function scaleBar() {
  const steps = SCALE.map((weight) => {
    const swatch = element("span", { class: "swatch" });
    swatch.style.setProperty("--ink", inkOf(weight));
    return element("span", {}, swatch, formatPercent(weight));
  });
  return element("p", { class: "scale" }, "Attention: ", ...steps);
}
