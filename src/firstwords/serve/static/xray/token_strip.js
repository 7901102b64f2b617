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
  const figures = parts.map(({ label, position }) => {
    const nodes = group.stages.map(() => element("small"));
    label.append(...nodes);
    return { nodes, position };
  });
  const showFigures = () => {
    for (const { nodes, position } of figures) {
      group.stages.forEach((stage, index) => {
        const { text, shade } = figureAt(stage, position);
        nodes[index].textContent = text;
        nodes[index].style.setProperty("--shade", shade.toFixed(3));
      });
    }
  };
  if (names.length) state.onChange(showFigures, ...names);
  else showFigures();
  const checked = followSelection(state, group, parts);
  followChoice(state, strip, () => checked()?.label);
  return strip;
}

// The tokens as text that can be read and copied: without inputs, which would part its words.
export function textStrip(state, group, label) {
  const stage = group.stages[0];
  const spans = stage.tokens.slice(group.from, group.to).map((token, index) => {
    const attributes = { role: "radio", "aria-label": state.tokenText(token.id) };
    const span = element("span", { class: `token ${kindOf(token)}`, ...attributes }, token.text);
    span.addEventListener("click", () => state.select({ position: group.from + index }));
    return span;
  });
  const checked = () => spans[positionInGroup(state, group) - group.from];
  state.onChange(() => {
    const current = checked();
    for (const span of spans) {
      span.setAttribute("aria-checked", span === current);
      span.tabIndex = span === (current ?? spans[0]) ? 0 : -1;
    }
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
