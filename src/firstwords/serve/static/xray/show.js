// A document on the page: a section for each view, in it a column for each stage.

import { element } from "../view.js";
import { attention } from "./attention.js";
import { Look, count } from "./look.js";
import { next, settings } from "./next.js";
import { cache, lens, loss, similar, tokens } from "./views.js";

const VIEWS = { tokens, loss, similar, attention, lens, next, cache };

export function show(seen, root) {
  const look = new Look(seen);
  const sections = Object.entries(seen.views).map(([name, words]) => section(look, name, words));
  root.replaceChildren(head(seen), ...sections, chooser(look));
}

function head(seen) {
  const { layers, channels, heads, vocabulary, parameters } = seen.stages[0].model;
  const stages = seen.stages.map(checkpointName).join("; ");
  const shape = `${layers} layers of ${channels} channels, ${heads} heads, ${count(vocabulary)} tokens in its vocabulary, ${count(parameters)} parameters`;
  return element(
    "section",
    { class: "seen", "aria-label": "What is seen" },
    element("p", { class: "quote" }, seen.text),
    element("p", { class: "facts" }, `Run ${seen.run}: ${stages}. ${shape}.`),
  );
}

function checkpointName({ stage, step, steps }) {
  return `${stage}, step ${count(step)} of ${count(steps)}`;
}

function section(look, name, words) {
  const columns = look.stages.map((stage) => {
    const title = element("h3", {}, checkpointName(stage));
    title.hidden = look.stages.length === 1;
    return element("div", { class: "column" }, title, ...VIEWS[name](look, stage));
  });
  const id = `view-${name}`;
  const made = element("section", { class: `view ${name}`, "aria-labelledby": id });
  made.append(element("h2", { id }, words.title), element("p", { class: "says" }, words.says));
  if (name === "next") made.append(settings(look));
  made.append(element("div", { class: "columns" }, ...columns));
  return made;
}

// Always at hand: which token the views look at.
function chooser(look) {
  const longest = look.stages.reduce((a, b) => (a.tokens.length >= b.tokens.length ? a : b));
  const range = element("input", {
    type: "range",
    id: "place",
    min: 0,
    max: longest.tokens.length - 1,
  });
  range.addEventListener("input", () => look.choose({ place: Number(range.value) }));
  const output = element("output", { for: "place", class: "piece" });
  look.onChoice(() => {
    range.value = look.place;
    output.textContent = `${look.place}: ${look.chosenIn(longest)}`;
    range.setAttribute("aria-valuetext", output.textContent);
  });
  return element(
    "div",
    { class: "chooser" },
    element("label", { for: "place" }, "Token"),
    range,
    output,
  );
}
