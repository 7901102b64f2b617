// The card of a token: the alternatives at its place, their probabilities, and what to do with
// them. A mouse that rests on a token shows it; a click, a tap or the Enter key pins it.

import { element, formatProbability } from "../shared/dom.js";

const SPECIAL = /^(<\|.*\|>|<\/?tool_\w+>)$/;
const GAP = 6; // pixels between the token and the card

// `actions` has xrayUrl(answer, number) and continueWith(answer, place, candidate).
export class TokenCard {
  constructor(card, log, actions) {
    Object.assign(this, { card, log, actions, token: null, pinned: false });
    log.addEventListener("pointerover", (event) => this.hover(event));
    log.addEventListener("pointerleave", () => this.hideUnpinned());
    log.addEventListener("scroll", () => (this.pinned ? this.place(this.token) : this.hide()));
    log.addEventListener("click", (event) => this.click(event));
    log.addEventListener("keydown", (event) => this.moveByKey(event));
    log.addEventListener("focusout", (event) => {
      if (!card.contains(event.relatedTarget)) this.hide();
    });
    card.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !card.contains(event.relatedTarget)) this.hide();
    });
    document.addEventListener("pointerdown", (event) => {
      if (!card.contains(event.target) && !event.target.tokens) this.hide();
    });
  }

  hover({ target, pointerType }) {
    if (this.pinned || pointerType !== "mouse") return;
    if (target.tokens) this.show(target, false);
    else this.hide();
  }

  click({ target }) {
    if (!target.tokens || !getSelection().isCollapsed) return;
    if (this.pinned && this.token === target) this.hide();
    else this.show(target, true);
  }

  // Arrow keys move through the tokens of the focused answer.
  moveByKey(event) {
    const text = event.target;
    if (!text.classList.contains("answer-text")) return;
    const tokens = [...text.querySelectorAll(".token")];
    const place = tokens.indexOf(this.token);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      const next = tokens[place < 0 ? 0 : Math.max(0, place + step)];
      if (next) this.show(next, true);
    } else if (event.key === "Enter" && this.pinned) this.card.querySelector("button, a")?.focus();
    else return;
    event.preventDefault();
  }

  show(node, pinned) {
    this.token?.classList.remove("shown");
    Object.assign(this, { token: node, pinned });
    node.classList.add("shown");
    node.scrollIntoView({ block: "nearest" });
    this.card.replaceChildren(...this.content(node, pinned));
    this.card.classList.toggle("pinned", pinned);
    this.card.hidden = false;
    this.place(node);
  }

  place(node) {
    const { card } = this;
    Object.assign(card.style, { left: "0", top: "0" }); // for its own width and height
    const box = node.getBoundingClientRect();
    const left = Math.min(box.left, innerWidth - card.offsetWidth - 8);
    const below = box.bottom + GAP;
    const fits = below + card.offsetHeight < innerHeight;
    card.style.left = `${Math.max(8, left)}px`;
    card.style.top = `${Math.max(8, fits ? below : box.top - card.offsetHeight - GAP)}px`;
  }

  hideUnpinned() {
    if (!this.pinned) this.hide();
  }

  hide() {
    this.token?.classList.remove("shown");
    Object.assign(this, { token: null, pinned: false });
    this.card.hidden = true;
  }

  // Closes a pinned card and focuses the answer it belongs to. Returns whether there was one.
  close() {
    if (!this.pinned) return false;
    const text = this.token.closest(".answer-text");
    const focused = this.card.contains(document.activeElement);
    this.hide();
    if (focused) text?.focus();
    return true;
  }

  content(node, pinned) {
    const tables = node.tokens.map((sampled, index) => this.table(node, sampled, index, pinned));
    if (!pinned) return tables;
    const { answer, number } = node;
    const xray = element("a", { href: this.actions.xrayUrl(answer, number) }, "X-ray here");
    const close = element("button", { type: "button", onclick: () => this.close() }, "Close");
    return [...tables, element("div", { class: "actions" }, xray, close)];
  }

  table(node, sampled, index, pinned) {
    const rank = sampled.top.findIndex((other) => other.token === sampled.token);
    const candidates = rank < 0 ? [...sampled.top, sampled] : sampled.top;
    const rows = candidates.map((candidate) => {
      const taken = candidate.token === sampled.token;
      const button = pinned && !taken ? this.continueButton(node, index, candidate) : "";
      return element(
        "tr",
        { class: taken ? "sampled" : "" },
        element("td", {}, visibleToken(candidate.token)),
        element("td", {}, formatProbability(candidate.logprob)),
        element("td", {}, button),
      );
    });
    const caption = element("caption", {}, describeRank(sampled, rank, node.chosen));
    const rest = element("p", { class: "hint" }, `${othersOf(candidates)} others`);
    return element("div", {}, element("table", {}, caption, element("tbody", {}, ...rows)), rest);
  }

  continueButton(node, index, candidate) {
    if (!canContinue(node, index, candidate)) return "";
    const attributes = {
      type: "button",
      "aria-label": `Continue with ${visibleToken(candidate.token)}`,
      onclick: () => {
        const { answer, piece } = node;
        this.hide();
        this.actions.continueWith(answer, piece, index, candidate);
      },
    };
    return element("button", attributes, "continue with this");
  }
}

// Special tokens end the answer or call a tool; a part of a character is no text to continue.
function canContinue(node, index, candidate) {
  if (!node.answer.finishReason || node.classList.contains("tool")) return false;
  const before = node.tokens.slice(0, index).map(({ token }) => token);
  return [...before, candidate.token].every(
    (token) => !SPECIAL.test(token) && !/\ufffd/.test(token),
  );
}

export function visibleToken(token) {
  const shown = token.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
  return SPECIAL.test(token) ? `${shown} ${token.includes("end") ? "(end)" : ""}`.trim() : shown;
}

function describeRank({ token, logprob }, rank, chosen) {
  const place = rank < 0 ? "not among the first 5" : ordinal(rank + 1);
  const by = chosen ? "you chose" : "taken";
  return `${by} ${visibleToken(token)}: ${place}, ${formatProbability(logprob)}`;
}

function ordinal(rank) {
  return ["most likely", "2nd most likely", "3rd most likely"][rank - 1] ?? `${rank}th most likely`;
}

function othersOf(candidates) {
  const listed = candidates.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0);
  const rest = Math.max(0, 1 - listed);
  return rest < 1e-4 ? "< 0.01 %" : formatProbability(Math.log(rest));
}
