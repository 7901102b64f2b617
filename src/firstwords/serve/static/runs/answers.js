// Prompts that the models of several runs answer side by side, greedily.

import { streamAnswer } from "../shared/api.js";
import { element, pieceNodes } from "../shared/dom.js";

const FIRST_PROMPT = "Why is the sky blue?";
const SETTINGS = { temperature: 0, max_tokens: 128 };

// `signal` ends running answers when the comparison is closed.
export function promptSection(names, stages, key, signal) {
  const input = element("input", { id: "prompt", autocomplete: "off", value: FIRST_PROMPT });
  const ask = element("button", { type: "submit", class: "primary" }, "Ask");
  const label = element("label", { for: "prompt" }, "Prompt");
  const form = element("form", { class: "ask" }, label, input, ask);
  const cards = element("div", { class: "answers" });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const prompt = input.value.trim();
    if (!prompt) return;
    cards.prepend(answerCard(names, stages, prompt, key, signal));
    input.select();
  });
  const hint = "Every model answers with its most likely token each time.";
  return element(
    "section",
    {},
    element("h2", {}, "The same prompts"),
    element("p", { class: "hint" }, hint),
    form,
    cards,
  );
}

function answerCard(names, stages, prompt, key, signal) {
  const columns = names.map((name, index) => {
    const answer = element("p", { "aria-busy": "true" }, "…");
    showAnswer(answer, `${name}-${stages[index]}`, prompt, key, signal);
    return element("div", {}, element("h4", {}, name), answer);
  });
  return element(
    "div",
    { class: "card", "aria-live": "polite" },
    element("h3", {}, prompt),
    element("div", { class: "columns" }, ...columns),
  );
}

async function showAnswer(node, model, prompt, key, signal) {
  const messages = [{ role: "user", content: prompt }];
  let text = "";
  try {
    for await (const piece of streamAnswer(model, messages, SETTINGS, key, signal))
      text += piece.text;
    node.replaceChildren(...pieceNodes({ text: text || "(empty)", tokens: [] }));
  } catch (error) {
    if (!signal.aborted) node.replaceChildren(`No answer: ${error.message}`);
  }
  node.removeAttribute("aria-busy");
}
