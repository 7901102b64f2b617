// The logit lens: what each layer would predict, as a heat map of tokens and layers.

import { element } from "../shared/dom.js";
import { followChoice } from "./follow.js";
import { stagePanels } from "./stages.js";
import { formatPercent } from "./state.js";
import { bar } from "./token_strip.js";
import { scrollRegion, table } from "./views.js";

const SHORT = 4; // characters that fit any column; what is longer is clipped, which takes time to draw

export function lensView(state) {
  return stagePanels(state, (stage) => {
    const titles = ["token", ...stage.lens.map((level) => level.after), "actual"];
    const rows = stage.tokens.map((_, position) => lensRow(state, stage, position));
    const region = scrollRegion(
      `What each layer of ${stage.stage} would predict next`,
      table("lens", titles, rows),
    );
    region.style.setProperty("--columns", titles.length);
    // Only where it is needed does the first column stick: each of its cells takes time to draw.
    const isWide = () => region.scrollWidth > region.clientWidth;
    new ResizeObserver(() => region.classList.toggle("sideways", isWide())).observe(region);
    const levels = element("div", { class: "levels" });
    let selected = null;
    state.onChange(() => {
      selected?.classList.remove("selected");
      selected = rows[state.positionIn(stage)];
      selected.classList.add("selected");
      levels.replaceChildren(...lensLevels(state, stage));
    }, "position");
    followChoice(state, region, () => selected);
    return [heatScale(), region, levels];
  });
}

function lensRow(state, stage, position) {
  const actual = stage.tokens[position + 1]?.id;
  const cells = stage.lens.map((level) => {
    const [id, probability] = level.top[position][0];
    const text = state.tokenText(id);
    const figure = element("small", {}, formatPercent(probability));
    const name = element("span", { class: lengthOf(text) }, text);
    const cell = element("td", { title: text }, name, " ", figure);
    cell.style.setProperty("--shade", probability);
    cell.classList.toggle("correct", id === actual);
    return cell;
  });
  const name = state.textAt(stage, position);
  const token = element("th", { scope: "row", class: lengthOf(name), title: name }, name);
  const next = actual === undefined ? "" : state.tokenText(actual);
  const last = element("td", { class: lengthOf(next) }, next);
  const row = element("tr", {}, token, ...cells, last);
  row.addEventListener("click", () => state.select({ position }));
  return row;
}

function lengthOf(text) {
  return text.length > SHORT ? "long" : "";
}

function heatScale() {
  const steps = [0, 0.25, 0.5, 1].map((probability) => {
    const swatch = element("span", { class: "swatch heat" });
    swatch.style.setProperty("--shade", probability);
    return element("span", {}, swatch, formatPercent(probability));
  });
  const frame = element("span", {}, element("span", { class: "swatch framed" }), "right token");
  return element("p", { class: "scale" }, "Probability: ", ...steps, frame);
}

// The most likely tokens after each layer, at the selected position.
function lensLevels(state, stage) {
  const position = state.positionIn(stage);
  const actual = stage.tokens[position + 1];
  const text = state.selectedText(stage);
  const description = actual
    ? `The token after “${text}” is “${state.tokenText(actual.id)}”; a frame marks the layers ` +
      "that predict it."
    : `After “${text}”`;
  const lists = stage.lens.map((level) => {
    const items = level.top[position].map(([id, probability]) => {
      const name = element("span", { class: "piece" }, state.tokenText(id));
      return element("li", {}, name, ...bar(probability, formatPercent(probability)));
    });
    const probability = actual
      ? ` (“${state.tokenText(actual.id)}” ${formatPercent(level.next[position])})`
      : "";
    return element(
      "div",
      {},
      element("p", { class: "title" }, level.after + probability),
      element("ol", { class: "bars" }, ...items),
    );
  });
  return [element("p", { class: "details" }, description), ...lists];
}
