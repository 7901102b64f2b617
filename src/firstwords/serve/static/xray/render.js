// Renders an X-ray document: a bar of contents, a section for each view, and the selected token.

import { element } from "../shared/dom.js";
import { attentionView } from "./attention.js";
import { contentsBar, foldingView, showView } from "./contents.js";
import { lensView } from "./lens.js";
import { modelView } from "./model_picture.js";
import { nextTokenView } from "./next_token.js";
import { checkpointTitle } from "./stages.js";
import { XrayState, formatCount } from "./state.js";
import { textView } from "./text_view.js";
import { cacheView, lossView, similarView, tokensView } from "./views.js";

const VIEWS = {
  text: textView,
  next: nextTokenView,
  model: modelView,
  attention: attentionView,
  lens: lensView,
  loss: lossView,
  cache: cacheView,
  tokens: tokensView,
  similar: similarView,
};

export function renderXray(xray, root) {
  const state = new XrayState(xray);
  const views = Object.entries(xray.views).map(([name, texts]) =>
    foldingView(state, name, texts, () => VIEWS[name](state)),
  );
  state.show = (name) => {
    const node = views.find(({ id }) => id === `view-${name}`);
    if (node) showView(node);
  };
  const layout = element("div", { class: "views" }, ...views);
  root.replaceChildren(summary(xray), contentsBar(views), layout, tokenSlider(state));
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
    element("p", { class: "quote" }, subjectOf(xray)),
    element("p", { class: "details" }, `Run ${xray.run}: ${stages}. ${shape}.`),
  );
}

// The text, or the last message of a conversation.
export function subjectOf({ text, messages }) {
  if (!messages) return text;
  const count = messages.length === 1 ? "1 message" : `${messages.length} messages`;
  return `A conversation of ${count}, up to: ${messages.at(-1).content}`;
}

// Selects the token of all views; it stays at the bottom of the window.
function tokenSlider(state) {
  const longest = state.stages.reduce((a, b) => (a.tokens.length >= b.tokens.length ? a : b));
  const last = longest.tokens.length - 1;
  const range = element("input", { type: "range", id: "position", min: 0, max: last });
  range.addEventListener("input", () => state.select({ position: Number(range.value) }));
  const output = element("output", { for: "position", class: "piece" });
  state.onChange(() => {
    range.value = state.position;
    output.textContent = `${state.position}: ${state.selectedText(longest)}`;
    range.setAttribute("aria-valuetext", output.textContent);
  }, "position");
  const step = (text, label, change) => {
    const button = element("button", { type: "button", "aria-label": label }, text);
    button.addEventListener("click", () => {
      state.select({ position: Math.min(last, Math.max(0, state.position + change)) });
    });
    return button;
  };
  return element(
    "div",
    { class: "token-slider" },
    element("label", { for: "position" }, "Token"),
    step("‹", "Previous token", -1),
    range,
    step("›", "Next token", 1),
    output,
  );
}
