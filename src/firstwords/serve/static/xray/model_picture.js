// A picture of the model, drawn from its shape: the residual stream from the embedding at the
// bottom to the next token at the top, with the heads and the MLP of each layer beside it. It shows
// what is selected, and selects layer, head and token.

import { element } from "../shared/dom.js";
import { stagePanels } from "./stages.js";
import { formatPercent } from "./state.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 272;
const STREAM = 24; // x of the residual stream
const LEFT = 46; // x of the boxes
const BOX_WIDTH = 150;
const LAYER_HEIGHT = 80;
const HEAD_MOVES = {
  ArrowUp: [1, 0],
  ArrowDown: [-1, 0],
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
};
const END_HEIGHT = 56; // of the boxes at top and bottom

export function modelView(state) {
  return stagePanels(state, (stage) => {
    const { layers } = stage.model;
    const height = layers * LAYER_HEIGHT + 2 * END_HEIGHT;
    const drawing = svgElement("svg", {
      viewBox: `0 0 ${WIDTH} ${height}`,
      class: "picture",
      role: "group",
      "aria-label": `The ${layers} layers of the ${stage.stage} model`,
    });
    drawing.style.setProperty("--height", `${height}px`);
    const stream = { x1: STREAM, x2: STREAM, y1: END_HEIGHT - 14, y2: height - END_HEIGHT + 14 };
    drawing.append(svgElement("line", { class: "stream", ...stream }));
    drawing.append(outputBox(state, stage));
    const heads = svgElement("g", { role: "radiogroup", "aria-label": "Heads" });
    for (let layer = layers - 1; layer >= 0; layer--) {
      const y = END_HEIGHT + (layers - 1 - layer) * LAYER_HEIGHT;
      drawing.append(layerBox(state, stage, layer, y));
      heads.append(...headBoxes(state, stage, layer, y));
    }
    drawing.append(heads, tokenBox(state, stage, height - END_HEIGHT));
    heads.addEventListener("keydown", (event) => moveHead(state, stage, heads, event));
    return [element("div", { class: "picture-frame" }, drawing), caption(state, stage)];
  });
}

function svgElement(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function svgText(x, y, kind = "") {
  return svgElement("text", { x, y, class: kind });
}

function box(x, y, width, height, kind = "") {
  return svgElement("rect", { x, y, width, height, rx: 4, class: `box ${kind}` });
}

// A line from the stream to a part and the plus where its result is added.
function addition(y) {
  return [
    svgElement("line", { class: "wire", x1: STREAM, x2: LEFT, y1: y, y2: y }),
    svgElement("circle", { class: "plus", cx: STREAM, cy: y, r: 7 }),
    svgElement("path", { class: "wire", d: `M${STREAM - 4} ${y}h8M${STREAM} ${y - 4}v8` }),
  ];
}

function layerBox(state, stage, layer, y) {
  const [prediction, mlp, attention] = [y + 14, y + 36, y + 66];
  const name = svgText(LEFT + 6, prediction + 4, "strong");
  const mlpName = svgText(LEFT + 6, mlp + 5);
  mlpName.textContent = "MLP";
  const added = {
    mlp: svgText(WIDTH, mlp + 5, "end"),
    attention: svgText(WIDTH, attention + 5, "end"),
  };
  const lens = svgElement("g", { role: "button", tabindex: "0", class: "level" });
  lens.append(
    box(LEFT, prediction - 10, WIDTH - LEFT, 20, "plain"),
    svgElement("circle", { class: "node", cx: STREAM, cy: prediction, r: 5 }),
    name,
  );
  onPress(lens, () => {
    state.select({ layer });
    state.show("lens");
  });
  state.onChange(() => {
    const position = state.positionIn(stage);
    const [id, probability] = stage.lens[layer + 1].top[position][0];
    const figure = `${state.tokenText(id)} ${formatPercent(probability)}`;
    name.textContent = `${layer + 1} → ${figure}`;
    lens.setAttribute("aria-label", `Layer ${layer + 1} would predict ${figure}; show the lens`);
    for (const [part, text] of Object.entries(added)) {
      const length = stage.residual[layer + 1][part][position];
      const ratio = length / stage.residual[layer].stream[position];
      text.textContent = `+${Math.round(100 * ratio)} %`;
    }
  }, "position");
  const parts = svgElement(
    "g",
    { class: "layer" },
    ...addition(mlp),
    ...addition(attention),
    box(LEFT, mlp - 11, BOX_WIDTH, 22),
    mlpName,
    added.mlp,
    added.attention,
    lens,
  );
  state.onChange(() => parts.classList.toggle("selected", state.layer === layer), "layer");
  return parts;
}

function headBoxes(state, stage, layer, y) {
  const count = stage.model.heads;
  const pitch = BOX_WIDTH / count;
  return stage.attention[layer].map((_, head) => {
    const title = svgElement("title", {});
    title.textContent = `Layer ${layer + 1}, head ${head + 1}`;
    const x = LEFT + head * pitch;
    const number = svgText(x + pitch / 2, y + 71, "middle");
    number.textContent = pitch >= 14 ? String(head + 1) : "";
    const node = svgElement(
      "g",
      { role: "radio", class: "head-box", "aria-label": title.textContent },
      title,
      box(x + 1, y + 53, Math.max(2, pitch - 2), 26),
      number,
    );
    onPress(node, () => state.select({ layer, head }));
    state.onChange(() => {
      const isSelected = layer === state.layer && head === state.head;
      node.setAttribute("aria-checked", isSelected);
      node.setAttribute("tabindex", isSelected ? "0" : "-1");
    }, "layer", "head");
    return node;
  });
}

// Arrow keys: up and down to another layer, left and right to another head.
function moveHead(state, stage, group, event) {
  const move = HEAD_MOVES[event.key];
  if (!move) return;
  event.preventDefault();
  const clamp = (value, count) => Math.min(count - 1, Math.max(0, value));
  state.select({
    layer: clamp(state.layer + move[0], stage.model.layers),
    head: clamp(state.head + move[1], stage.model.heads),
  });
  group.querySelector("[aria-checked=true]").focus();
}

function outputBox(state, stage) {
  const title = svgText(LEFT + 6, 17, "muted");
  title.textContent = "unembedding: next token";
  const text = svgText(LEFT + 6, 35, "strong");
  const node = svgElement("g", { role: "button", tabindex: "0", class: "end" });
  node.append(box(4, 2, WIDTH - 6, 40), title, text);
  onPress(node, () => state.show("next"));
  state.onChange(() => {
    const [id, probability] = stage.lens.at(-1).top[state.positionIn(stage)][0];
    text.textContent = `${state.tokenText(id)} ${formatPercent(probability)}`;
    node.setAttribute("aria-label", `Next token: ${text.textContent}; show all`);
  }, "position");
  return node;
}

// The token at the bottom; its arrows and the arrow keys select its neighbors.
function tokenBox(state, stage, y) {
  const title = svgText(LEFT + 6, y + 29, "muted");
  const text = svgText(LEFT + 6, y + 47, "strong");
  const last = stage.tokens.length - 1;
  const node = svgElement("g", { role: "slider", tabindex: "0", class: "end" });
  node.setAttribute("aria-label", "Token");
  node.setAttribute("aria-valuemin", "0");
  node.setAttribute("aria-valuemax", last);
  const move = (change) => {
    const position = state.positionIn(stage) + change;
    state.select({ position: Math.min(last, Math.max(0, position)) });
  };
  const arrows = [
    [STREAM - 8, "‹", -1],
    [WIDTH - 18, "›", 1],
  ].map(([x, sign, change]) => {
    const arrow = svgText(x, y + 41, "arrow");
    arrow.textContent = sign;
    const area = svgElement("g", { class: "arrow-area" });
    const size = { x: x - 12, y: y + 14, width: 32, height: 40 };
    area.append(svgElement("rect", { ...size, class: "area" }), arrow);
    area.addEventListener("click", () => move(change));
    return area;
  });
  node.append(box(4, y + 12, WIDTH - 6, 42), title, text, ...arrows);
  node.addEventListener("keydown", (event) => {
    const change = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (!change) return;
    event.preventDefault();
    move(change);
  });
  state.onChange(() => {
    const position = state.positionIn(stage);
    title.textContent = `embedding of token ${position}`;
    text.textContent = state.selectedText(stage);
    node.setAttribute("aria-valuenow", position);
    node.setAttribute("aria-valuetext", `${position}: ${text.textContent}`);
  }, "position");
  return node;
}

function onPress(node, action) {
  node.addEventListener("click", action);
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    action();
  });
}

function caption(state, stage) {
  const node = element("p", { class: "details" });
  state.onChange(() => {
    const place = `Layer ${state.layer + 1}, head ${state.head + 1}`;
    node.textContent = `${place} at token ${state.positionIn(stage)}, “${state.selectedText(stage)}”`;
  }, "position", "layer", "head");
  return node;
}
