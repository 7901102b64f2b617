// A line that tells what happened, perhaps with a button such as "Undo".

import { element } from "../shared/dom.js";

export class StatusLine {
  constructor(node) {
    this.node = node;
  }

  show(text, { isError = false, button = "", onClick } = {}) {
    const action = button ? element("button", { type: "button", onclick: onClick }, button) : "";
    this.node.replaceChildren(text, action ? " " : "", action);
    this.node.classList.toggle("error", isError);
  }

  clear() {
    this.node.replaceChildren();
  }
}
