// How a conversation looks. Text of the model and of users only ever becomes text nodes.

import { element } from "./dom.js";

// A turn is {question, pieces, done, tokens, seconds, notes}; a piece {text, tokens} or
// {call, result, tokens}. `name` is the model's, if it has one; `actions` are the buttons below the
// answer.
export function turnNodes(turn, name, actions) {
  const question = element(
    "div",
    { class: "question" },
    element("span", { class: "hidden" }, "You: "),
    element("p", { class: "words" }, turn.question),
  );
  const words = element("div", { class: "words", role: "group", tabindex: "0" });
  const by = name ? `Answer of ${name}` : "Answer";
  words.setAttribute("aria-label", `${by}. The arrow keys show the likely tokens.`);
  words.append(...turn.pieces.map(pieceElement));
  const details = element("p", { class: "details" }, detailsOf(turn), ...actions);
  return { question, words, details };
}

export function pieceElement(piece) {
  const { text, call, result, tokens } = piece;
  const kind = call === undefined ? "token" : `token tool${result === "error" ? " error" : ""}`;
  const node = element("span", { class: kind }, text ?? `${call} = ${result}`);
  node.tokens = tokens;
  return node;
}

export function detailsOf({ pieces, done, tokens, seconds, notes }) {
  const parts = [...notes];
  if (done && !pieces.length) parts.push("empty answer");
  if (tokens) parts.push(`${tokens} ${tokens === 1 ? "token" : "tokens"}`);
  if (tokens && seconds) parts.push(`${Math.round(tokens / seconds)} tokens/s`);
  if (done === "length") parts.push("cut at the maximum length");
  if (done === "stopped") parts.push("stopped");
  return parts.join(" · ");
}

// The answer as a message has it, with the markup of tool calls.
export function contentOf({ pieces }) {
  return pieces
    .map(({ text, call, result }) =>
      text !== undefined
        ? text
        : `<tool_call>${call}</tool_call><tool_response>${result}</tool_response>`,
    )
    .join("");
}

// The answer as a person copies it.
export function plainTextOf({ pieces }) {
  return pieces.map(({ text }) => text ?? "").join("").trim();
}

// A table for each token: the most likely ones at its place, and the one that was drawn.
export function probabilityTables(tokens) {
  return tokens.map((drawn) => {
    const isDrawn = ({ token }) => token === drawn.token;
    const listed = drawn.top.some(isDrawn) ? drawn.top : [...drawn.top, drawn];
    const rows = listed.map((one) =>
      element(
        "tr",
        isDrawn(one) ? { class: "drawn" } : {},
        element("td", {}, JSON.stringify(one.token).slice(1, -1)),
        element("td", {}, percentage(one.probability)),
      ),
    );
    return element("table", {}, element("tbody", {}, ...rows));
  });
}

function percentage(probability) {
  const percent = 100 * probability;
  if (percent >= 99.95) return "100 %";
  if (percent < 0.01) return "< 0.01 %";
  return `${percent >= 10 ? percent.toFixed(0) : percent.toPrecision(2)} %`;
}
