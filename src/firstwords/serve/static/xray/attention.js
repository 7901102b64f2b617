// Attention: a small map for every head, and a closer look at one of them.

import { element } from "../view.js";
import { percent } from "./look.js";
import { strip } from "./strip.js";

const HABITS = {
  first: "to the first token",
  before: "to the token before",
  itself: "to itself",
  repeat: "to what followed the same token",
};
const MOST_LABELS = 32; // tokens whose names fit beside the rows of a map
let groups = 0;

export function attention(look, stage) {
  const closer = element("div", { class: "closer" });
  const below = closeUp(look, stage, closer);
  return [element("div", { class: "maps" }, maps(look, stage), closer), ...below];
}

function maps(look, stage) {
  const group = `heads-${++groups}`;
  const heads = stage.attention.flatMap((layer, number) =>
    layer.map((rows, head) => [number, head, rows]),
  );
  const labels = heads.map(([layer, head, rows]) => {
    const radio = element("input", { type: "radio", name: group, class: "hidden" });
    radio.addEventListener("change", () => look.choose({ layer, head }));
    look.onChoice(() => (radio.checked = layer === look.layer && head === look.head));
    const text = element("span", {}, `layer ${layer + 1}, head ${head + 1}`);
    return element("label", { class: "head" }, radio, drawn(rows), text);
  });
  const made = element("fieldset", { class: "heads" }, element("legend", {}, "Heads"), ...labels);
  made.style.setProperty("--heads", stage.model.heads);
  return made;
}

// A pixel for each pair; the page enlarges it.
function drawn(rows) {
  const canvas = element("canvas", {
    width: rows.length,
    height: rows.length,
    "aria-hidden": "true",
  });
  paint(canvas, rows);
  return canvas;
}

function paint(canvas, rows) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(rows.length, rows.length);
  rows.forEach((row, y) =>
    row.forEach((share, x) => {
      // Black of so much opacity; xray.css turns it to white where the page is dark.
      pixels.data.set([0, 0, 0, Math.round(255 * share)], 4 * (y * rows.length + x));
    }),
  );
  context.putImageData(pixels, 0, 0);
}

function closeUp(look, stage, place) {
  const canvas = element("canvas");
  const chosen = element("div", { class: "row" });
  const labels = stage.tokens.map((_, row) => element("span", {}, look.nameAt(stage, row)));
  const map = element("div", { class: "map" }, canvas, chosen);
  const large = element("div", { class: "large", "aria-hidden": "true" }, map);
  large.style.setProperty("--rows", labels.length);
  if (labels.length <= MOST_LABELS) large.prepend(element("div", { class: "labels" }, ...labels));
  const pointed = element("p", { class: "facts" });
  const title = element("p", { class: "title" });
  const habits = element("ul", { class: "habits" });
  place.append(title, large, habits, pointed);
  let rows;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const cell = (offset, size) =>
      Math.min(rows.length - 1, Math.max(0, Math.floor((offset / size) * rows.length)));
    return [cell(event.clientX - box.left, box.width), cell(event.clientY - box.top, box.height)];
  };
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (x <= y) pointed.textContent = taken(look, stage, rows[y], y, x);
  });
  canvas.addEventListener("click", (event) => look.choose({ place: at(event)[1] }));
  look.onChoice(() => {
    rows = headOf(look, stage);
    canvas.width = canvas.height = rows.length;
    paint(canvas, rows);
    chosen.style.top = `${(100 * look.placeIn(stage)) / rows.length}%`;
    chosen.style.height = `${100 / rows.length}%`;
    title.textContent = `Layer ${look.layer + 1}, head ${look.head + 1}`;
    habits.replaceChildren(...habitItems(stage.heads[look.layer][look.head]));
    pointed.textContent = mostTaken(look, stage, rows);
  });
  const figures = (other) => {
    const share = headOf(look, stage)[look.placeIn(stage)][other];
    return { under: share === undefined ? "" : percent(share), shade: share ?? 0 };
  };
  return [strip(look, stage, "What the chosen token takes from each", figures)];
}

function headOf(look, stage) {
  return stage.attention[look.layer][look.head];
}

function habitItems(shares) {
  return Object.entries(HABITS).map(([name, words]) => {
    const share = shares[name];
    return element("li", {}, `${words}: ${share === null ? "does not occur" : percent(share)}`);
  });
}

function taken(look, stage, row, place, other) {
  return `“${look.nameAt(stage, place)}” takes ${percent(row[other])} from “${look.nameAt(stage, other)}”.`;
}

function mostTaken(look, stage, rows) {
  const place = look.placeIn(stage);
  return taken(look, stage, rows[place], place, rows[place].indexOf(Math.max(...rows[place])));
}
