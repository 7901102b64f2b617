// A block of code with a button that copies it.

import { element } from "../shared/dom.js";

export class CodeBlock {
  constructor(label) {
    this.code = element("code", {});
    const copy = element("button", { type: "button", class: "copy" }, "Copy");
    copy.setAttribute("aria-label", `Copy ${label}`);
    copy.addEventListener("click", () => this.copy(copy));
    const block = element("pre", { tabindex: "0", "aria-label": label, role: "region" }, this.code);
    this.node = element("div", { class: "code" }, block, copy);
  }

  show(text) {
    this.code.textContent = text;
  }

  // Without a secure connection browsers have no clipboard for pages: then the text is selected.
  async copy(button) {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(this.code);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
}
