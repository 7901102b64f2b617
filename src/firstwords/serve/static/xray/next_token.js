// The next token: probabilities of the model, and after the sampling settings. A test checks that
// the settings do the same as firstwords/inference/sampling.py.

import { element } from "../shared/dom.js";
import { stageColumns } from "./stages.js";
import { formatCount, formatPercent } from "./state.js";
import { bar } from "./token_strip.js";

const SHOWN_TOKENS = 15;
const SHOWN_OF_SEVERAL = 8; // stages

// {first, model, sampled, kept}: the ids of the `count` most likely tokens; the probabilities of all
// ranks in the model and after the settings, 0 where cut; and how many tokens are kept. Numbers are
// sorted without their ids, in a typed array, since a move of the slider waits for it.
export function nextTokens(logits, { temperature, topK, topP }, count) {
  const sorted = Float64Array.from(logits).sort().reverse();
  const afterTopK = softmax(sorted.subarray(0, topK || sorted.length), Math.max(temperature, 1e-6));
  let kept = 0;
  let total = 0;
  while (kept < afterTopK.length && total < topP) total += afterTopK[kept++];
  const sampled = new Float64Array(sorted.length);
  for (let rank = 0; rank < kept; rank++) sampled[rank] = afterTopK[rank] / total;
  const least = sorted[Math.min(count, sorted.length) - 1];
  const first = [...logits.keys()]
    .filter((token) => logits[token] >= least)
    .sort((a, b) => logits[b] - logits[a] || a - b)
    .slice(0, count);
  return { first, model: softmax(sorted, 1), sampled, kept };
}

function softmax(sortedLogits, temperature) {
  const powers = sortedLogits.map((logit) => Math.exp((logit - sortedLogits[0]) / temperature));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}

// How many tokens come before one, most likely first.
function rankOf(logits, token) {
  const own = logits[token];
  return logits.reduce(
    (rank, logit, id) => rank + (logit > own || (logit === own && id < token) ? 1 : 0),
    0,
  );
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
    const distribution = nextTokens(logits, state, shownTokens);
    const actual = stage.tokens[position + 1]?.id;
    const shown = [...distribution.first.entries()];
    if (actual !== undefined && !distribution.first.includes(actual))
      shown.push([rankOf(logits, actual), actual]);
    const items = shown.map(([rank, token]) =>
      bars(state, distribution, rank, token, token === actual),
    );
    list.replaceChildren(...items);
    const cameNext =
      actual === undefined ? "" : ` A frame marks “${state.tokenText(actual)}”, which came next.`;
    details.textContent =
      `${formatCount(distribution.kept)} of ${formatCount(logits.length)} tokens can be sampled.` +
      cameNext;
  }, "position", "temperature", "topK", "topP");
  return [title, list, details];
}

function bars(state, { model, sampled }, rank, token, isActual) {
  const cut = sampled[rank] === 0;
  const kinds = [cut ? "cut" : "", isActual ? "actual" : ""];
  return element(
    "li",
    { class: kinds.join(" ").trim() },
    element("span", { class: "piece" }, state.tokenText(token)),
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
