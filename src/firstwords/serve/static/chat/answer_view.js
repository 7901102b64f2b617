// One answer on the page. It grows while the answer is generated.

import { element, pieceNodes } from "../shared/dom.js";
import { whyEnded } from "./answering.js";
import { aboutStage } from "./models.js";
import { textOf } from "./tree.js";

const MIN_TOKENS_FOR_SPEED = 20; // of fewer tokens, the speed is mostly noise

// `actions` has xrayUrl(reply, answer), copy(text, button), regenerate(reply, answer),
// resume(reply, answer).
export class AnswerView {
  constructor(answer, reply, actions) {
    Object.assign(this, { answer, reply, actions, nPieces: 0, nTokens: 0 });
    const by = answer.personality ? `${answer.personality} (${answer.stage})` : answer.stage;
    const label = `Answer of ${by}; the arrow keys move through its tokens`;
    const focusable = { tabindex: "0", role: "group", "aria-label": label };
    this.text = element("div", { class: "text answer-text", ...focusable });
    this.text.dataset.focus = `text-${answer.id}`;
    this.details = element("p", { class: "details" });
    this.buttons = element("div", { class: "actions" });
    const about = element("span", {}, aboutStage(answer.stage));
    const name = answer.personality ? [element("bdi", {}, answer.personality), " · "] : [];
    const heading = element("h2", {}, ...name, answer.stage, " ", about);
    const parts = [heading, this.text, this.details, this.buttons];
    this.node = element("article", { class: `answer ${answer.stage}` }, ...parts);
  }

  // `running` says whether this page generates the answer.
  update(answer, running) {
    if (answer !== this.answer || answer.shortened !== this.shortened) {
      Object.assign(this, { answer, shortened: answer.shortened, nPieces: 0, nTokens: 0 });
      this.text.replaceChildren();
    }
    for (const piece of answer.pieces.slice(this.nPieces)) this.append(piece);
    this.nPieces = answer.pieces.length;
    this.text.classList.toggle("waiting", running && !answer.finishReason);
    this.showDetails(running);
    this.showButtons(running);
  }

  append(piece) {
    const nodes = pieceNodes(piece);
    const tool = nodes.find((node) => node.classList);
    const before = this.text.lastChild;
    const afterTool = before?.classList?.contains("tool") && !/^\s/.test(piece.text);
    const beforeTool = tool && before && !/\s$/.test(before.textContent);
    if (afterTool || beforeTool) this.text.append(" ");
    if (tool) this.addTokens(tool, piece);
    else if (piece.tokens.length) {
      const span = element("span", { class: "token" }, ...nodes);
      this.addTokens(span, piece);
      this.text.append(span);
      return;
    }
    this.text.append(...nodes);
  }

  // Tells the token card which tokens the node shows.
  addTokens(node, piece) {
    if (!piece.tokens.length) return;
    const { answer } = this;
    const place = answer.pieces.indexOf(piece);
    const chosen = place === answer.chosen; // by the user
    const number = this.nTokens;
    Object.assign(node, { tokens: piece.tokens, answer, piece: place, number, chosen });
    node.classList.add("token");
    const probability = Math.exp(piece.tokens[0].logprob ?? 0);
    node.style.setProperty("--surprise", `${Math.round(60 * (1 - probability))}%`);
    this.nTokens += piece.tokens.length;
  }

  showDetails(running) {
    const { answer } = this;
    const parts = [];
    if (answer.waiting) parts.push(answer.waiting);
    const ended = answer.finishReason === "stop";
    if (ended && !textOf(answer.pieces).trim()) parts.push("empty answer");
    if (answer.tokens) parts.push(countOf(answer));
    if (answer.truncated)
      parts.push("the model read only the end of the text, which fits its context");
    const why = whyEnded(answer, running);
    if (why) parts.push(why);
    if (answer.shortened) parts.push("probabilities dropped, since storage was full");
    const error = answer.error ? element("span", { class: "error" }, answer.error) : "";
    const text = parts.join("; ");
    this.details.replaceChildren(text, text && error ? ". " : "", error);
  }

  // The buttons appear when the answer has ended: while it is generated they could do nothing.
  showButtons(running) {
    const { answer, reply, actions } = this;
    const key = running ? "" : `${answer.finishReason} ${answer.error ?? ""}`;
    if (key === this.buttonsKey) return;
    this.buttonsKey = key;
    if (running) return this.buttons.replaceChildren();
    const button = (name, text, onclick) =>
      element("button", { type: "button", "data-focus": `${name}-${answer.id}`, onclick }, text);
    const copy = button("copy", "Copy", () => actions.copy(this.readableText(), copy));
    if (!answer.model) return this.buttons.replaceChildren(copy);
    const nodes = [copy, button("again", "Regenerate", () => actions.regenerate(reply, answer))];
    if (answer.finishReason !== "stop" && answer.pieces.length)
      nodes.push(button("resume", "Continue", () => actions.resume(reply, answer)));
    nodes.push(element("a", { href: actions.xrayUrl(reply, answer) }, "X-ray"));
    this.buttons.replaceChildren(...nodes);
  }

  readableText() {
    return this.text.textContent.trim();
  }
}

function countOf({ tokens, seconds }) {
  const count = tokens === 1 ? "1 token" : `${tokens} tokens`;
  if (tokens < MIN_TOKENS_FOR_SPEED || !seconds) return count;
  return `${count}, ${Math.round(tokens / seconds)} tokens/s`;
}
