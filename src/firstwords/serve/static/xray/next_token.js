// The next token: probabilities of the model, and after the sampling settings. A test checks that
// the settings do the same as firstwords/inference/sampling.py.

import { element } from "../shared/dom.js";
import { stageColumns } from "./stages.js";
import { formatCount, formatPercent } from "./state.js";
import { bar } from "./token_strip.js";

const SHOWN_TOKENS = 15;
const SHOWN_OF_SEVERAL = 8; // stages

// {order, model, sampled, kept}: token ids, most likely first; their probabilities in the model and
// after the settings, 0 where cut; and how many tokens are kept.
export function nextTokens(logits, { temperature, topK, topP }) {
  const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
  const sorted = order.map((token) => logits[token]);
  const afterTopK = softmax(sorted.slice(0, topK || order.length), Math.max(temperature, 1e-6));
  let total = 0;
  const afterTopP = afterTopK.filter((probability) => {
    const kept = total < topP;
    total += probability;
    return kept;
  });
  const sum = afterTopP.reduce((all, probability) => all + probability, 0);
  return {
    order,
    model: softmax(sorted, 1),
    sampled: order.map((_, rank) => (afterTopP[rank] ?? 0) / sum),
    kept: afterTopP.length,
  };
}

function softmax(sortedLogits, temperature) {
  const powers = sortedLogits.map((logit) => Math.exp((logit - sortedLogits[0]) / temperature));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}

export function nextTokenView(state) {
  return [samplingSettings(state), stageColumns(state, (stage) => nextOfStage(state, stage))];
}

function nextOfStage(state, stage) {
  const title = element("p", { class: "title" });
  const list = element("ol", { class: "bars two" });
  const details = element("p", { class: "details" });
  const shownTokens = state.stages.length > 1 ? SHOWN_OF_SEVERAL : SHOWN_TOKENS;
  state.onChange(() => {
    const position = state.positionIn(stage);
    const logits = stage.logits[position];
    title.textContent = `After “${state.selectedText(stage)}”`;
    if (!logits) {
      list.replaceChildren();
      details.textContent =
        "In long texts, only the tokens after the text are stored; use a shorter text.";
      return;
    }
    const distribution = nextTokens(logits, state);
    const actual = stage.tokens[position + 1]?.id;
    const ranks = [...distribution.order.slice(0, shownTokens).keys()];
    const actualRank = distribution.order.indexOf(actual);
    if (actualRank >= shownTokens) ranks.push(actualRank);
    list.replaceChildren(...ranks.map((rank) => bars(state, distribution, rank, actual)));
    const cameNext =
      actual === undefined ? "" : ` A frame marks “${state.tokenText(actual)}”, which came next.`;
    details.textContent =
      `${formatCount(distribution.kept)} of ${formatCount(logits.length)} tokens can be sampled.` +
      cameNext;
  }, "position", "temperature", "topK", "topP");
  return [title, list, details];
}

function bars(state, { order, model, sampled }, rank, actual) {
  const cut = sampled[rank] === 0;
  const kinds = [cut ? "cut" : "", order[rank] === actual ? "actual" : ""];
  return element(
    "li",
    { class: kinds.join(" ").trim() },
    element("span", { class: "piece" }, state.tokenText(order[rank])),
    ...bar(model[rank], formatPercent(model[rank]), "model"),
    ...bar(sampled[rank], cut ? "cut" : formatPercent(sampled[rank])),
  );
}

// The sampling settings, shared by all stages.
function samplingSettings(state) {
  const vocabularySize = state.xray.vocabulary.length;
  const fields = [
    ["temperature", "Temperature", { type: "range", min: 0, max: 2, step: 0.05 }],
    ["topK", "Top k (0: off)", { type: "number", min: 0, max: vocabularySize, step: 1 }],
    ["topP", "Top p", { type: "range", min: 0.05, max: 1, step: 0.01 }],
  ].map(([name, title, attributes]) => {
    const id = `setting-${name}`;
    const input = element("input", { id, ...attributes });
    const output = element("output", { for: id });
    input.addEventListener("input", () => {
      const valid = input.value !== "" && input.checkValidity();
      if (valid) state.select({ [name]: Number(input.value) });
    });
    state.onChange(() => {
      if (Number(input.value) !== state[name]) input.value = state[name];
      output.textContent = state[name];
    }, name);
    const shownValue = attributes.type === "range" ? [output] : [];
    return element("label", {}, title, " ", input, ...shownValue);
  });
  const legend = element(
    "legend",
    {},
    "Thin bar: the model's probability. Thick bar: after the sampling settings.",
  );
  return element("fieldset", { class: "settings" }, legend, ...fields);
}
