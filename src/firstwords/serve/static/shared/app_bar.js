// The bar at the top of every page, <app-bar page="chat">: links to all pages.

import { element } from "./dom.js";

const PAGES = [
  { name: "chat", path: "", title: "Chat" },
  { name: "training", path: "training/", title: "Training" },
  { name: "exam", path: "exam/", title: "Exam" },
  { name: "xray", path: "xray/", title: "X-ray" },
  { name: "report", path: "report/", title: "Report" },
  { name: "runs", path: "runs/", title: "Runs" },
  { name: "docs", path: "docs/", title: "Docs" },
  { name: "api", path: "api/", title: "API" },
];
const root = new URL("..", import.meta.url); // relative, so that a proxy may add a prefix

class AppBar extends HTMLElement {
  connectedCallback() {
    const links = PAGES.map(({ name, path, title }) => {
      const current = name === this.getAttribute("page") ? { "aria-current": "page" } : {};
      return element("a", { href: new URL(path, root).href, ...current }, title);
    });
    const name = element("a", { class: "name", href: root.href }, "Firstwords");
    this.replaceChildren(name, element("nav", { "aria-label": "Pages" }, ...links));
  }
}

customElements.define("app-bar", AppBar);
