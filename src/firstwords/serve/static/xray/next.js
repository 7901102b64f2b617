// The next token: from the logits to what is drawn, as firstwords/inference/sampling.py does it (a
// test holds one to the other).

import { element } from "../view.js";
import { count, percent } from "./look.js";
import { bar } from "./strip.js";

const SHOWN = 15;

// {order, model, drawn}: tokens, the likeliest first, with their shares; drawn is 0 where cut.
export function nextTokens(logits, { temperature, topK, topP }) {
  const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
  const model = softmax(
    order.map((token) => logits[token]),
    1,
  );
  const kept = softmax(
    order.slice(0, topK || order.length).map((token) => logits[token]),
    Math.max(temperature, 1e-6),
  );
  let before = 0;
  const left = kept.filter((share) => {
    const stays = before < topP;
    before += share;
    return stays;
  });
  const sum = left.reduce((all, share) => all + share, 0);
  return {
    order,
    model,
    drawn: order.map((_, place) => (left[place] ?? 0) / sum),
    kept: left.length,
  };
}

function softmax(sorted, temperature) {
  const powers = sorted.map((logit) => Math.exp((logit - sorted[0]) / temperature));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}

export function next(look, stage) {
  const title = element("p", { class: "title" });
  const list = element("ol", { class: "bars two" });
  const words = element("p", { class: "facts" });
  look.onChoice(() => {
    const logits = stage.logits[look.placeIn(stage)];
    title.textContent = `After “${look.chosenIn(stage)}”`;
    if (!logits) {
      list.replaceChildren();
      words.textContent =
        "Of so long a text only what comes after it is kept: look at a shorter one.";
      return;
    }
    const found = nextTokens(logits, look);
    list.replaceChildren(
      ...found.order.slice(0, SHOWN).map((token, at) => bars(look, token, found, at)),
    );
    words.textContent = `${count(found.kept)} of ${count(logits.length)} tokens can be drawn.`;
  });
  return [title, list, words];
}

function bars(look, token, found, at) {
  const gone = found.drawn[at] === 0;
  return element(
    "li",
    { class: gone ? "gone" : "" },
    element("span", { class: "piece" }, look.name(token)),
    ...bar(found.model[at], percent(found.model[at]), "before"),
    ...bar(found.drawn[at], gone ? "cut" : percent(found.drawn[at])),
  );
}

// The settings, for all stages at once.
export function settings(look) {
  const most = look.seen.vocabulary.length;
  const made = [
    ["temperature", "Temperature", { type: "range", min: 0, max: 2, step: 0.05 }],
    ["topK", "Top k (0: all)", { type: "number", min: 0, max: most, step: 1 }],
    ["topP", "Top p", { type: "range", min: 0.05, max: 1, step: 0.01 }],
  ].flatMap(([name, title, attributes]) => {
    const id = `setting-${name}`;
    const input = element("input", { id, ...attributes });
    const output = element("output", { for: id });
    input.addEventListener("input", () => {
      if (input.value !== "" && input.checkValidity()) look.choose({ [name]: Number(input.value) });
    });
    look.onChoice(() => {
      if (Number(input.value) !== look[name]) input.value = look[name];
      output.textContent = look[name];
    });
    return [
      element("label", { for: id }, title, " ", ...(attributes.type === "range" ? [output] : [])),
      input,
    ];
  });
  const legend = element("legend", {}, "The thin bar is the model's, the thick one what is drawn.");
  return element("fieldset", { class: "settings" }, legend, ...made);
}
