// What an empty conversation shows: what the selected stages do, and texts to begin with.

import { element } from "../shared/dom.js";
import { continuesText } from "./answering.js";
import { describeModels, nameOf } from "./models.js";

const QUESTIONS = [
  "Hello! Who are you?",
  "What is the capital of Japan?",
  "What is 127 times 46?",
  "How do you spell garden?",
  "Tell me a short story about a fox.",
  "Why is the sky blue?",
];
const BEGINNINGS = [
  "The capital of Japan is",
  "Once upon a time, a small fox",
  "The sky is blue because",
  "In the morning, the farmer",
];
const TITLE = "Chat with the model you trained";
const TEXT_TITLE = "Let the base model continue your text";

export class Starters {
  constructor(page, onStart) {
    Object.assign(this, { page, onStart, shown: null });
  }

  show(models) {
    const onlyText = models.length > 0 && models.every(({ stage }) => continuesText(stage));
    const { page } = this;
    page.about.textContent = describeModels(models);
    const name = nameOf(models);
    const placeholder = name ? `Write a message to ${name}` : "Write a message";
    page.message.placeholder = onlyText ? "Begin a text" : placeholder;
    page.heading.textContent = name ? `Chat with ${name}` : "Chat";
    const title = name ? ["Chat with ", element("bdi", {}, name)] : [TITLE];
    page.title.replaceChildren(...(onlyText ? [TEXT_TITLE] : title));
    if (this.shown === onlyText) return;
    this.shown = onlyText;
    const texts = onlyText ? BEGINNINGS : QUESTIONS;
    page.examples.replaceChildren(...texts.map((text) => element("li", {}, this.button(text))));
  }

  button(text) {
    return element("button", { type: "button", onclick: () => this.onStart(text) }, text);
  }
}
