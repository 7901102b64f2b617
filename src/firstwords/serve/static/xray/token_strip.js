// The tokens of a text in a row, with figures below each; one of them is selected.

import { element } from "../shared/dom.js";
import { followChoice } from "./follow.js";
import { isGenerated } from "./state.js";

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

// The tokens as text that can be read and selected.
export function textStrip(state, group, legend) {
  const parts = stripParts(state, group, (token) => token.text);
  const labels = parts.map(({ label }) => label);
  const title = element("legend", { class: "hidden" }, legend);
  followSelection(state, group, parts);
  return element("fieldset", { class: "prose" }, title, ...labels);
}

function stripParts(state, group, textOfToken) {
  const name = `strip-${++stripCount}`;
  const tokens = group.stages[0].tokens.slice(group.from, group.to);
  return tokens.map((token, index) => {
    const position = group.from + index;
    const printable = state.tokenText(token.id);
    const radio = element("input", { type: "radio", name, value: position });
    radio.setAttribute("aria-label", printable);
    radio.addEventListener("change", () => state.select({ position }));
    const text = element("span", { class: "piece" }, textOfToken?.(token) ?? printable);
    const label = element("label", { class: `token ${kindOf(token)}` }, radio, text);
    return { position, radio, label };
  });
}

function kindOf(token) {
  if (isGenerated(token)) return "generated";
  return token.by === "frame" ? "markup" : token.by;
}

// Returns a function that returns the part that is checked now, if any.
function followSelection(state, group, parts) {
  const single = group.stages.length === 1 ? group.stages[0] : null;
  let checked = null;
  state.onChange(() => {
    if (checked) checked.radio.checked = false;
    checked = parts[(single ? state.positionIn(single) : state.position) - group.from];
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
