// What an empty conversation shows: what the selected stages do, and texts to begin with.

import { element } from "../shared/dom.js";
import { continuesText } from "./answering.js";
import { describeModels } from "./models.js";

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

export class Starters {
  constructor(page, onStart) {
    Object.assign(this, { page, onStart, shown: null });
  }

  show(models) {
    const onlyText = models.length > 0 && models.every(({ stage }) => continuesText(stage));
    const { page } = this;
    page.about.textContent = describeModels(models);
    page.message.placeholder = onlyText ? "Begin a text" : "Write a message";
    if (this.shown === onlyText) return;
    this.shown = onlyText;
    page.title.textContent = onlyText
      ? "Let the base model continue your text"
      : "Chat with the model you trained";
    const texts = onlyText ? BEGINNINGS : QUESTIONS;
    page.examples.replaceChildren(...texts.map((text) => element("li", {}, this.button(text))));
  }

  button(text) {
    return element("button", { type: "button", onclick: () => this.onStart(text) }, text);
  }
}
