// The tokens of a text in a row, one of which is chosen; each with a figure below it and a shade.

import { element } from "../view.js";
import { written } from "./look.js";

let strips = 0;

// `figures(place)` gives {under, shade}: a short text, and 0 to 1.
export function strip(look, stage, legend, figures) {
  const name = `strip-${++strips}`;
  const parts = stage.tokens.map((token, place) => {
    const radio = element("input", { type: "radio", name, value: place });
    radio.addEventListener("change", () => look.choose({ place }));
    const under = element("small");
    const text = element("span", { class: "piece" }, look.name(token.id));
    const kind = token.by === "text" ? "token" : `token ${written(token) ? "written" : "frame"}`;
    return { radio, under, label: element("label", { class: kind }, radio, text, under) };
  });
  const labels = parts.map((part) => part.label);
  const made = element("fieldset", { class: "strip" }, element("legend", {}, legend), ...labels);
  look.onChoice(() => {
    parts.forEach((part, place) => {
      const { under, shade } = figures(place);
      part.radio.checked = place === look.placeIn(stage);
      part.under.textContent = under;
      part.label.style.setProperty("--shade", shade);
    });
  });
  return made;
}

// A bar of a share of its place, with its figure.
export function bar(share, text, kind = "") {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${(100 * Math.min(1, share)).toFixed(1)}%`;
  const track = element("span", { class: `bar ${kind}` }, fill);
  return [track, element("span", { class: "figure" }, text)];
}
