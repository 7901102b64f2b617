// The message box with its draft, and the meter of the context below it.

import { tooLong } from "./answering.js";

const CHARACTERS_PER_TOKEN = 4; // about, in English
const ALMOST_FULL = 0.9;

// `actions` has send(text), editLast(), saveDraft(text).
export class Composer {
  constructor(page, actions) {
    Object.assign(this, { page, actions, used: 0, context: null });
    page.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    page.message.addEventListener("input", () => {
      actions.saveDraft(page.message.value);
      this.update();
    });
    page.message.addEventListener("keydown", (event) => this.pressKey(event));
    addEventListener("resize", () => this.resize());
  }

  get text() {
    return this.page.message.value;
  }

  set text(text) {
    this.page.message.value = text;
    this.update();
  }

  pressKey(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) this.page.form.requestSubmit();
    else if (event.key === "ArrowUp" && !this.text) this.actions.editLast();
    else return;
    event.preventDefault();
  }

  submit() {
    if (!this.text.trim() || this.problem()) return;
    this.actions.send(this.text);
  }

  clear() {
    this.text = "";
    this.actions.saveDraft("");
  }

  // Why the text cannot be sent, or "".
  problem() {
    return tooLong(this.text);
  }

  // `used` are the tokens of the conversation so far, of `context`.
  setContext(used, context) {
    Object.assign(this, { used, context });
    this.update();
  }

  update() {
    this.resize();
    const { page, context } = this;
    const problem = this.problem();
    page.problem.textContent = problem;
    page.message.setAttribute("aria-invalid", String(Boolean(problem)));
    page.meter.hidden = page["meter-text"].hidden = !context;
    if (!context) return;
    const draft = estimateTokens(this.text.trim());
    page.meter.max = context;
    page.meter.value = Math.min(context, this.used + draft);
    page["meter-text"].textContent = describeUse(this.used, draft, context);
  }

  // The height of the text; an empty box has one line, whatever its placeholder needs.
  resize() {
    const { message } = this.page;
    message.style.height = "";
    if (this.text) message.style.height = `${message.scrollHeight + 2}px`;
  }
}

export function estimateTokens(text) {
  return Math.ceil(text.length / CHARACTERS_PER_TOKEN);
}

function describeUse(used, draft, context) {
  if (draft > context)
    return (
      `The message has about ${draft.toLocaleString("en")} tokens, ` +
      `the context ${context}: the model will read only its end.`
    );
  const total = used + draft;
  const text = `Context: ${draft ? "about " : ""}${Math.min(total, context)} of ${context} tokens`;
  if (total > ALMOST_FULL * context) return `${text}. The oldest messages will be left out.`;
  return text;
}
