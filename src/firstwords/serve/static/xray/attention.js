// Attention: a small map for every head, a larger one of the selected head, and where it looks in
// the text.

import { element } from "../shared/dom.js";
import { paintMap } from "./attention_map.js";
import { closeUpMap } from "./close_up.js";
import { stagePanels } from "./stages.js";
import { formatPercent } from "./state.js";
import { tokenStrip } from "./token_strip.js";

const HABITS = {
  first: "to the first token",
  before: "to the token before",
  itself: "to itself",
  repeat: "to the token after an earlier occurrence of the same token",
};
const BADGE_FROM = 0.3; // of a head's attention; less is no habit
let groupCount = 0;

export function attentionView(state) {
  return stagePanels(state, (stage) => {
    const closeUp = element("div", { class: "close-up" }, ...headTitle(state, stage));
    closeUp.append(closeUpMap(state, stage));
    const maps = element("div", { class: "maps" }, headMaps(state, stage), closeUp);
    return [maps, ...reachStrip(state, stage)];
  });
}

function headMaps(state, stage) {
  const name = `heads-${++groupCount}`;
  const painted = new Map();
  const observer = new ResizeObserver((entries) =>
    entries.forEach(({ target }) => paintMap(target, painted.get(target))),
  );
  const labels = stage.attention.flatMap((layerRows, layer) =>
    layerRows.map((rows, head) => {
      const canvas = element("canvas", { "aria-hidden": "true" });
      painted.set(canvas, rows);
      observer.observe(canvas);
      return headMap(state, name, { layer, head }, canvas, stage.heads[layer][head]);
    }),
  );
  const legend = element("legend", {}, "Heads, with what they attend to most");
  const maps = element("fieldset", { class: "heads" }, legend, ...labels);
  maps.style.setProperty("--heads", Math.min(4, stage.model.heads));
  return maps;
}

function headMap(state, name, { layer, head }, canvas, habits) {
  const radio = element("input", { type: "radio", name, class: "hidden" });
  radio.addEventListener("change", () => state.select({ layer, head }));
  const isSelected = () => layer === state.layer && head === state.head;
  state.onChange(() => (radio.checked = isSelected()), "layer", "head");
  const text = element("span", { class: "name" }, `layer ${layer + 1}, head ${head + 1}`);
  const map = element("span", { class: "small-map" }, canvas);
  return element("label", { class: "head" }, radio, map, text, ...badge(habits));
}

// The strongest habit of a head, if it has one.
function badge(habits) {
  const [name, weight] = Object.entries(habits).reduce((a, b) => (b[1] > a[1] ? b : a));
  if (!(weight >= BADGE_FROM)) return [];
  const short = name === "repeat" ? "to what followed before" : HABITS[name];
  return [element("span", { class: "badge" }, `${short}: ${formatPercent(weight)}`)];
}

function headTitle(state, stage) {
  const title = element("h3", { class: "title" });
  const habits = element("ul", { class: "habits" });
  state.onChange(
    () => {
      title.textContent = `Layer ${state.layer + 1}, head ${state.head + 1}`;
      const weights = stage.heads[state.layer][state.head];
      const items = Object.entries(HABITS).map(([name, description]) => {
        const figure = weights[name] === null ? "does not occur" : formatPercent(weights[name]);
        return element("li", {}, `${description}: ${figure}`);
      });
      habits.replaceChildren(...items);
    },
    "layer",
    "head",
  );
  return [title, habits];
}

// The attention of the selected token on the text: of the selected head, or the mean of several.
function reachStrip(state, stage) {
  const group = { stages: [stage], from: 0, to: stage.tokens.length };
  let weights = [];
  const figureAt = (_, position) => {
    if (!position) weights = reachWeights(state, stage);
    const weight = weights[position];
    return { text: weight === undefined ? "" : formatPercent(weight), shade: weight ?? 0 };
  };
  const legend = "Attention of the selected token to each token";
  const strip = tokenStrip(state, group, legend, figureAt, "position", "layer", "head", "reach");
  return [reachChoice(state), strip];
}

function reachChoice(state) {
  const name = `reach-${++groupCount}`;
  const choices = [
    ["head", () => `layer ${state.layer + 1}, head ${state.head + 1}`],
    ["layer", () => `mean of layer ${state.layer + 1}`],
    ["all", () => "mean of all heads"],
  ].map(([reach, textOfChoice]) => {
    const radio = element("input", { type: "radio", name, value: reach });
    radio.addEventListener("change", () => state.select({ reach }));
    const text = element("span");
    state.onChange(() => {
      radio.checked = state.reach === reach;
      text.textContent = textOfChoice();
    }, "reach", "layer", "head");
    return element("label", { class: "tab" }, radio, text);
  });
  const legend = element("legend", {}, "Where it looks:");
  return element("fieldset", { class: "tabs reach" }, legend, ...choices);
}

function reachWeights(state, stage) {
  const { layer, head, reach } = state;
  const layers = reach === "all" ? stage.attention : [stage.attention[layer]];
  const heads = reach === "head" ? [stage.attention[layer][head]] : layers.flat();
  const rows = heads.map((map) => map[state.positionIn(stage)]);
  const meanAt = (position) => rows.reduce((sum, row) => sum + row[position], 0) / rows.length;
  return rows[0].map((_, position) => meanAt(position));
}
