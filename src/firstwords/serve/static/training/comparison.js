// Other runs whose curves are drawn over those of the run on the page.

import { element } from "../shared/dom.js";
import { RunFeed } from "./run_feed.js";

const MAX_OTHERS = 5; // with the run itself, as many as the charts have line styles

export class Comparison {
  feeds = new Map(); // of the chosen runs, by name

  constructor({ details, list, onChange }) {
    Object.assign(this, { details, list, onChange });
  }

  // Shows the runs that can be chosen; only changes are made, so that focus stays.
  show(names) {
    this.details.hidden = !names.length;
    for (const name of this.feeds.keys()) if (!names.includes(name)) this.feeds.delete(name);
    for (const item of [...this.list.children])
      if (!names.includes(item.dataset.run)) item.remove();
    for (const [index, name] of names.entries()) {
      const item = this.list.children[index] ?? null;
      if (item?.dataset.run !== name) this.list.insertBefore(this.#item(name), item);
    }
    this.#limit();
  }

  #item = (name) => {
    const box = element("input", { type: "checkbox", value: name, onchange: this.#choose });
    box.checked = this.feeds.has(name);
    return element("li", { "data-run": name }, element("label", {}, box, ` ${name}`));
  };

  #choose = ({ target }) => {
    if (target.checked) this.feeds.set(target.value, new RunFeed(target.value));
    else this.feeds.delete(target.value);
    this.#limit();
    this.onChange();
  };

  #limit() {
    const isFull = this.feeds.size >= MAX_OTHERS;
    for (const box of this.list.querySelectorAll("input")) box.disabled = isFull && !box.checked;
  }

  async refresh(key) {
    const growing = [...this.feeds.values()].filter((feed) => !feed.isFinished);
    await Promise.all(growing.map((feed) => feed.refresh(key)));
  }

  get loaded() {
    return [...this.feeds.values()].filter((feed) => feed.progress);
  }
}
