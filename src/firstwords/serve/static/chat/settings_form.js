// The form of the settings. A value that is not allowed is marked and explained, and not used.

import { DEFAULTS, loadSettings, saveSettings } from "../shared/storage.js";

const MAX_SYSTEM_CHARACTERS = 10_000;

// `onChange(name)` is called after each change.
export class SettingsForm {
  constructor(page, onChange) {
    Object.assign(this, { page, onChange, values: loadSettings(), context: null });
    for (const name of Object.keys(DEFAULTS)) {
      page[name].addEventListener("input", () => this.readInput(name));
      page[name].addEventListener("change", () => onChange(name));
    }
    page.defaults.addEventListener("click", () => {
      const { key } = this.values;
      this.values = { ...DEFAULTS, key };
      saveSettings(this.values);
      this.show();
      onChange(null);
    });
    addEventListener("storage", ({ key }) => {
      if (key !== "firstwords.settings") return;
      this.values = loadSettings();
      this.show();
    });
    this.show();
  }

  show() {
    for (const name of Object.keys(DEFAULTS)) {
      this.page[name].value = this.values[name];
      this.showState(name, this.problemOf(name));
    }
  }

  // Answers cannot be longer than the context of the models that give them.
  setContext(context) {
    if (context === this.context) return;
    this.context = context;
    const input = this.page.max_tokens;
    input.max = context;
    input.value = Math.min(this.values.max_tokens, context);
    this.showState("max_tokens", this.problemOf("max_tokens"));
  }

  readInput(name) {
    const problem = this.problemOf(name);
    if (!problem) {
      this.values[name] = this.valueOf(name);
      saveSettings(this.values);
    }
    this.showState(name, problem);
  }

  // Sets a value by its name, as "/temperature 0.5" does. Returns why it cannot, or "".
  set(name, text) {
    const before = this.page[name].value;
    this.page[name].value = text; // a slider takes its nearest value instead of another one
    const exact = text !== "" && Number(this.page[name].value) === Number(text);
    const problem = exact ? this.problemOf(name) : rangeOf(this.page[name]);
    if (problem) this.page[name].value = before;
    this.readInput(name);
    return problem;
  }

  valueOf(name) {
    const { type, value } = this.page[name];
    const isNumber = type === "range" || type === "number";
    return isNumber && value !== "" ? Number(value) : value;
  }

  // Why a value is not allowed, or "".
  problemOf(name) {
    const input = this.page[name];
    const { value } = input;
    if (name === "key") return "";
    if (name === "system")
      return value.length > MAX_SYSTEM_CHARACTERS ? "Enter at most 10,000 characters." : "";
    if (name === "seed" && value === "" && !input.validity.badInput) return "";
    const exact = name !== "seed" || Number.isSafeInteger(Number(value));
    return value !== "" && input.checkValidity() && exact ? "" : rangeOf(input);
  }

  showState(name, problem) {
    const input = this.page[name];
    const output = this.page[`${name}-value`];
    if (output) output.textContent = Number(input.value).toFixed(decimalsOf(input));
    const message = this.page[`${name}-problem`];
    if (!message) return;
    const used = this.values[name] === "" ? "none" : this.values[name];
    message.textContent =
      problem && `${problem} In use: ${name === "system" ? "the text before" : used}.`;
    input.setAttribute("aria-invalid", String(Boolean(problem)));
  }
}

function rangeOf({ min, max, step }) {
  const whole = Number.isInteger(Number(step)) ? "whole number" : "number";
  if (max === "") return "Enter a whole number of up to 15 digits.";
  return `Enter a ${whole} from ${min} to ${max}.`;
}

function decimalsOf({ step }) {
  return step.split(".")[1]?.length ?? 0;
}
