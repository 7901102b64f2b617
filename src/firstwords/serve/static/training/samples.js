// All sample pages of a run behind a slider, which follows the newest until it is moved back.

import { element, textNodes } from "../shared/dom.js";
import { formatCount } from "./overview.js";

export class SampleSlider {
  #pages = [];
  #follows = true;

  constructor({ slider, position, list, earlier, later }) {
    Object.assign(this, { slider, position, list, earlier, later });
    slider.addEventListener("input", () => this.#choose(Number(slider.value)));
    earlier.addEventListener("click", () => this.#choose(Number(slider.value) - 1));
    later.addEventListener("click", () => this.#choose(Number(slider.value) + 1));
  }

  get count() {
    return this.#pages.length;
  }

  show(pages) {
    this.#pages = pages;
    this.slider.max = Math.max(0, pages.length - 1);
    if (this.#follows) this.slider.value = this.slider.max;
    this.#draw();
  }

  clear() {
    this.#follows = true;
    this.show([]);
  }

  #choose(index) {
    const last = this.#pages.length - 1;
    this.slider.value = Math.max(0, Math.min(index, last));
    this.#follows = Number(this.slider.value) === last;
    this.#draw();
  }

  #draw() {
    const index = Number(this.slider.value);
    const page = this.#pages[index];
    const where = page
      ? `${index + 1} of ${this.#pages.length}: step ${formatCount(page.step)} of ${page.stage}`
      : "No samples yet: the first ones are written before the first step.";
    this.position.textContent = where;
    this.slider.setAttribute("aria-valuetext", where);
    this.slider.parentElement.hidden = this.#pages.length < 2;
    this.list.replaceChildren(
      ...(page?.samples ?? []).flatMap(({ prompt, answer, kind }) => [
        element("dt", { class: kind }, prompt),
        element("dd", {}, ...(answer ? textNodes(answer) : ["(empty)"])),
      ]),
    );
  }
}
