// The list of conversations: search, groups by date, renaming, deleting. On a narrow screen it is a
// panel over the page.

import { element } from "../shared/dom.js";
import { isReply, textOf, titleOf } from "./tree.js";

const DAY = 24 * 3600 * 1000;

// `actions` has rename(chat, title), remove(chat) and closed().
export class Sidebar {
  constructor(page, store, actions) {
    Object.assign(this, { page, store, actions, renaming: null });
    page.search.addEventListener("input", () => this.show(this.current));
    page.menu.addEventListener("click", () => this.open());
    page["close-menu"].addEventListener("click", () => this.close());
  }

  show(current) {
    this.current = current;
    const { page } = this;
    const sought = page.search.value.trim().toLowerCase();
    const found = this.store.list().filter((chat) => !sought || contains(chat, sought));
    const groups = groupByDate(found, Date.now());
    page.chats.replaceChildren(...groups.flatMap(([name, chats]) => this.group(name, chats)));
    page["no-chats"].hidden = found.length > 0 || !sought;
  }

  group(name, chats) {
    const heading = element("li", { class: "group" }, name);
    return [heading, ...chats.map((chat) => this.item(chat))];
  }

  item(chat) {
    if (this.renaming === chat.id) return element("li", {}, this.nameBox(chat));
    const title = titleOf(chat);
    const current = chat.id === this.current ? { "aria-current": "page" } : {};
    const link = element(
      "a",
      { class: "open", href: `#chat=${chat.id}`, title, ...current },
      title,
    );
    link.dataset.focus = `open-${chat.id}`;
    link.addEventListener("click", () => this.close());
    const button = (what, text, onclick) =>
      element(
        "button",
        { type: "button", "aria-label": `${what} ${title}`, title: what, onclick },
        text,
      );
    const rename = button("Rename", "✎", () => this.startRenaming(chat));
    rename.dataset.focus = `rename-${chat.id}`;
    const remove = button("Delete", "×", () => this.actions.remove(chat));
    return element("li", {}, link, rename, remove);
  }

  nameBox(chat) {
    const box = element("input", { "aria-label": "Name of the conversation", maxlength: "100" });
    box.value = titleOf(chat);
    const end = (save) => {
      if (this.renaming !== chat.id) return;
      this.renaming = null;
      if (save) this.actions.rename(chat, box.value.trim());
      this.show(this.current);
      this.page.chats.querySelector(`[data-focus="rename-${chat.id}"]`)?.focus();
    };
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      end(event.key === "Enter");
    });
    box.addEventListener("blur", () => end(true));
    return box;
  }

  startRenaming(chat) {
    this.renaming = chat.id;
    this.show(this.current);
    const box = this.page.chats.querySelector("input");
    box.focus();
    box.select();
  }

  open() {
    this.page.sidebar.classList.add("open");
    this.page.menu.setAttribute("aria-expanded", "true");
    this.setBackground(true);
    this.page["close-menu"].focus();
  }

  // Returns whether it was open as a panel.
  close() {
    if (!this.page.sidebar.classList.contains("open")) return false;
    this.page.sidebar.classList.remove("open");
    this.page.menu.setAttribute("aria-expanded", "false");
    this.setBackground(false);
    this.page.menu.focus();
    return true;
  }

  // The keyboard does not reach what the panel covers.
  setBackground(covered) {
    for (const node of document.querySelectorAll("app-bar, main")) node.inert = covered;
  }
}

function contains(chat, sought) {
  if (titleOf(chat).toLowerCase().includes(sought)) return true;
  const messages = Object.values(chat.nodes).filter((node) => !isReply(node));
  if (messages.some((node) => node.text.toLowerCase().includes(sought))) return true;
  const answers = Object.values(chat.answers);
  return answers.some(({ pieces }) => textOf(pieces).toLowerCase().includes(sought));
}

// [[name, chats]] of days and longer times, the newest first.
export function groupByDate(chats, now) {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const groups = new Map();
  for (const chat of chats) {
    const name = nameOfDate(chat.updated, midnight);
    groups.set(name, [...(groups.get(name) ?? []), chat]);
  }
  return [...groups];
}

function nameOfDate(time, midnight) {
  if (time >= midnight) return "Today";
  if (time >= midnight - DAY) return "Yesterday";
  if (time >= midnight - 7 * DAY) return "Previous 7 days";
  return new Date(time).toLocaleDateString("en", { month: "long", year: "numeric" });
}
