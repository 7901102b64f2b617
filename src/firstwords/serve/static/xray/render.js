// Renders an X-ray document: a section for each view, in it a column for each stage.

import { element } from "../shared/dom.js";
import { attentionView } from "./attention.js";
import { nextTokenView, samplingSettings } from "./next_token.js";
import { XrayState, formatCount } from "./state.js";
import { cacheView, lensView, lossView, similarView, tokensView } from "./views.js";

const VIEWS = {
  tokens: tokensView,
  loss: lossView,
  similar: similarView,
  attention: attentionView,
  lens: lensView,
  next: nextTokenView,
  cache: cacheView,
};

export function renderXray(xray, root) {
  const state = new XrayState(xray);
  const sections = Object.entries(xray.views).map(([name, texts]) => section(state, name, texts));
  root.replaceChildren(summary(xray), ...sections, tokenSlider(state));
}

function summary(xray) {
  const { layers, channels, heads, vocabulary, parameters } = xray.stages[0].model;
  const stages = xray.stages.map(checkpointTitle).join("; ");
  const shape =
    `${layers} layers, ${channels} channels, ${heads} heads, ` +
    `a vocabulary of ${formatCount(vocabulary)} tokens, ${formatCount(parameters)} parameters`;
  return element(
    "section",
    { class: "summary", "aria-label": "Text and model" },
    element("p", { class: "quote" }, xray.text),
    element("p", { class: "details" }, `Run ${xray.run}: ${stages}. ${shape}.`),
  );
}

function checkpointTitle({ stage, step, steps }) {
  return `${stage}, step ${formatCount(step)} of ${formatCount(steps)}`;
}

function section(state, name, texts) {
  const columns = state.stages.map((stage) => {
    const title = element("h3", {}, checkpointTitle(stage));
    title.hidden = state.stages.length === 1;
    return element("div", { class: "column" }, title, ...VIEWS[name](state, stage));
  });
  const id = `view-${name}`;
  const node = element("section", { class: `view ${name}`, "aria-labelledby": id });
  node.append(
    element("h2", { id }, texts.title),
    element("p", { class: "description" }, texts.says),
  );
  if (name === "next") node.append(samplingSettings(state));
  node.append(element("div", { class: "columns" }, ...columns));
  return node;
}

// Selects the token of all views; it stays at the bottom of the window.
function tokenSlider(state) {
  const longest = state.stages.reduce((a, b) => (a.tokens.length >= b.tokens.length ? a : b));
  const range = element("input", {
    type: "range",
    id: "position",
    min: 0,
    max: longest.tokens.length - 1,
  });
  range.addEventListener("input", () => state.select({ position: Number(range.value) }));
  const output = element("output", { for: "position", class: "piece" });
  state.onChange(() => {
    range.value = state.position;
    output.textContent = `${state.position}: ${state.selectedText(longest)}`;
    range.setAttribute("aria-valuetext", output.textContent);
  });
  return element(
    "div",
    { class: "token-slider" },
    element("label", { for: "position" }, "Token"),
    range,
    output,
  );
}
