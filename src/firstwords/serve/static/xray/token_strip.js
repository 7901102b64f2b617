// The tokens of a text in a row, with a figure below each; one of them is selected.

import { element } from "../shared/dom.js";
import { isGenerated } from "./state.js";

let stripCount = 0;

// `figureAt(position)` returns {text, shade}: a short text below the token, and a shade of 0 to 1.
export function tokenStrip(state, stage, legend, figureAt) {
  const name = `strip-${++stripCount}`;
  const parts = stage.tokens.map((token, position) => {
    const radio = element("input", { type: "radio", name, value: position });
    radio.addEventListener("change", () => state.select({ position }));
    const figure = element("small");
    const text = element("span", { class: "piece" }, state.tokenText(token.id));
    const kind = token.by === "text" ? "" : isGenerated(token) ? " generated" : " markup";
    const label = element("label", { class: `token${kind}` }, radio, text, figure);
    return { radio, figure, label };
  });
  const labels = parts.map((part) => part.label);
  const strip = element("fieldset", { class: "strip" }, element("legend", {}, legend), ...labels);
  state.onChange(() => {
    parts.forEach((part, position) => {
      const { text, shade } = figureAt(position);
      part.radio.checked = position === state.positionIn(stage);
      part.figure.textContent = text;
      part.label.style.setProperty("--shade", shade);
    });
  });
  return strip;
}

// A horizontal bar that fills `fraction` of its width, and the figure next to it.
export function bar(fraction, figure, kind = "") {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${(100 * Math.min(1, fraction)).toFixed(1)}%`;
  const track = element("span", { class: `bar ${kind}` }, fill);
  return [track, element("span", { class: "figure" }, figure)];
}
