// The tokens of a text in a row, with figures below each; one of them is selected.

import { element } from "../shared/dom.js";
import { followChoice } from "./follow.js";
import { isGenerated } from "./state.js";

const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
let stripCount = 0;

// A strip of the tokens that all stages share, and one of each stage's other tokens.
// `figureAt(stage, position)` returns {text, shade}: a short text, and a shade of 0 to 1.
export function tokenStrips(state, legend, figureAt) {
  const several = state.stages.length > 1;
  return state.tokenGroups().map((group) => {
    const names = group.stages.map(({ stage }) => stage).join(", ");
    const order = group.stages.length > 1 ? " (from top to bottom)" : "";
    const title = several ? `${legend}: ${names}${order}` : legend;
    return tokenStrip(state, group, title, figureAt);
  });
}

// `names` are the selections that the figures depend on.
export function tokenStrip(state, group, legend, figureAt, ...names) {
  const parts = stripParts(state, group);
  const labels = parts.map(({ label }) => label);
  const strip = element("fieldset", { class: "strip" }, element("legend", {}, legend), ...labels);
  const figures = parts.flatMap(({ label, position }) =>
    group.stages.map((stage) => {
      const node = element("small");
      label.append(node);
      return { node, stage, position, text: "", shade: "" };
    }),
  );
  const showFigures = () => {
    for (const figure of figures) showFigure(figure, figureAt(figure.stage, figure.position));
  };
  if (names.length) state.onChange(showFigures, ...names);
  else showFigures();
  const checked = followSelection(state, group, parts);
  followChoice(state, strip, () => checked()?.label);
  return strip;
}

// Writes only what has changed, since most figures of a long text stay the same.
function showFigure(figure, { text, shade }) {
  const rounded = shade.toFixed(3);
  if (text !== figure.text) figure.node.textContent = text;
  if (rounded !== figure.shade) figure.node.style.setProperty("--shade", rounded);
  Object.assign(figure, { text, shade: rounded });
}

// The tokens as text that can be read and copied: without inputs, which would part its words.
export function textStrip(state, group, label) {
  const stage = group.stages[0];
  const spans = stage.tokens.slice(group.from, group.to).map((token, index) => {
    const name = state.tokenText(token.id);
    const attributes = { role: "radio", "aria-label": name, "aria-checked": false, tabindex: -1 };
    const span = element("span", { class: `token ${kindOf(token)}`, ...attributes }, token.text);
    span.addEventListener("click", () => state.select({ position: group.from + index }));
    return span;
  });
  const checked = () => spans[positionInGroup(state, group) - group.from];
  let before = spans[0];
  state.onChange(() => {
    const current = checked();
    before.setAttribute("aria-checked", false);
    before.tabIndex = -1;
    before = current ?? spans[0];
    before.setAttribute("aria-checked", before === current);
    before.tabIndex = 0;
  }, "position");
  const strip = element("div", { class: "prose", role: "radiogroup", "aria-label": label }, ...spans);
  strip.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const next = spans.indexOf(document.activeElement) + step;
    const position = group.from + Math.min(spans.length - 1, Math.max(0, next));
    state.select({ position });
    checked()?.focus();
  });
  return strip;
}

function stripParts(state, group) {
  const name = `strip-${++stripCount}`;
  const tokens = group.stages[0].tokens.slice(group.from, group.to);
  return tokens.map((token, index) => {
    const position = group.from + index;
    const printable = state.tokenText(token.id);
    const radio = element("input", { type: "radio", name, value: position });
    radio.addEventListener("change", () => state.select({ position }));
    const text = element("span", { class: "piece" }, printable);
    const label = element("label", { class: `token ${kindOf(token)}` }, radio, text);
    return { position, radio, label };
  });
}

function kindOf(token) {
  if (isGenerated(token)) return "generated";
  return token.by === "frame" ? "markup" : token.by;
}

// The selected position, which a group of tokens may not have.
function positionInGroup(state, { stages }) {
  return stages.length === 1 ? state.positionIn(stages[0]) : state.position;
}

// Returns a function that returns the part that is checked now, if any.
function followSelection(state, group, parts) {
  let checked = null;
  state.onChange(() => {
    if (checked) checked.radio.checked = false;
    checked = parts[positionInGroup(state, group) - group.from];
    if (checked) checked.radio.checked = true;
  }, "position");
  return () => checked;
}

// A horizontal bar that fills `fraction` of its width, and the figure next to it.
export function bar(fraction, figure, kind = "") {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${(100 * Math.min(1, fraction)).toFixed(1)}%`;
  const track = element("span", { class: `bar ${kind}` }, fill);
  return [track, element("span", { class: "figure" }, figure)];
}
