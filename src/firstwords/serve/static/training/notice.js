// Progress in the title of the tab, and a notification at the end for those who ask for one.

import { fractionDone, percent } from "./overview.js";

export function titleOf(run) {
  if (!run) return "Training · Firstwords";
  const fraction = fractionDone(run);
  if (run.state === "finished") return `Done: ${run.run} · Firstwords`;
  if (run.state === "stopped") return `Stopped: ${run.run} · Firstwords`;
  return `${fraction === null ? `Training ${run.run}` : percent(fraction)} · Firstwords`;
}

// A button that turns the notification on and off.
export class DoneNotice {
  #wanted = false;

  constructor(button) {
    this.button = button;
    button.addEventListener("click", () => this.#toggle());
    this.#show();
  }

  offer(isRunning) {
    const hadFocus = document.activeElement === this.button;
    this.button.hidden = !isRunning || !("Notification" in window);
    if (hadFocus && this.button.hidden) document.querySelector("h1").focus();
  }

  send(run) {
    if (!this.#wanted) return;
    const exam = (run.scores.rl ?? run.scores.sft)?.exam;
    const text = exam && `Exam: ${Math.round(100 * exam.score)} %`;
    try {
      new Notification(`Run ${run.run} is finished`, { body: text || "The model is ready." });
    } catch {
      // Browsers of phones may refuse; the title says it, too.
    }
  }

  async #toggle() {
    this.#wanted = !this.#wanted && (await Notification.requestPermission()) === "granted";
    this.#show();
  }

  #show() {
    this.button.setAttribute("aria-pressed", String(this.#wanted));
    const denied = "Notification" in window && Notification.permission === "denied";
    this.button.title = denied ? "Your browser blocks notifications of this page" : "";
  }
}
