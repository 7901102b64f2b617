// Keyboard shortcuts and the dialog that lists them. A shortcut is {keys, title, action}:
//
//   keys    "Ctrl+Shift+O" (on a Mac also with Command), "?", "/", or "g c" for g and then c
//   action  may be missing, for keys that the page handles itself: they are only listed
//
// Keys without Ctrl or Alt do nothing while one types in a field, and can be turned off, since
// speech input may type them (WCAG 2.1.4).

import { element } from "./dom.js";
import { loadPreference, savePreference } from "./preferences.js";

const SEQUENCE_MILLISECONDS = 1500; // between the keys of "g c"
const FIELDS = "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])";
const isMac = navigator.platform.startsWith("Mac");

export class Shortcuts {
  #groups = new Map(); // name: shortcuts
  #first = { key: "", time: 0 }; // the previous key, which may begin a sequence
  #dialog = null;

  constructor() {
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  add(group, shortcuts) {
    this.#groups.set(group, [...(this.#groups.get(group) ?? []), ...shortcuts]);
  }

  show() {
    this.#dialog?.remove();
    this.#dialog = this.#makeDialog();
    document.body.append(this.#dialog);
    this.#dialog.showModal();
  }

  #press(event) {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const key = keyOf(event);
    if (isPlain(key) && (!plainKeysOn() || event.target.closest?.(FIELDS))) return;
    const isSecond = event.timeStamp - this.#first.time < SEQUENCE_MILLISECONDS;
    const sequence = isSecond ? `${this.#first.key} ${key}` : "";
    this.#first = { key, time: event.timeStamp };
    const all = [...this.#groups.values()].flat().filter(({ action }) => action);
    const found = all.find(({ keys }) => keys === sequence) ?? all.find(({ keys }) => keys === key);
    if (!found) return;
    event.preventDefault();
    this.#first = { key: "", time: 0 };
    found.action();
  }

  #makeDialog() {
    const box = element("input", { type: "checkbox", id: "shortcuts-plain" });
    box.checked = plainKeysOn();
    box.addEventListener("change", () => savePreference("plain-keys", box.checked ? "" : "off"));
    const label = element("label", { for: box.id }, "Use shortcuts without Ctrl");
    const close = element("button", { type: "button" }, "Close");
    const title = element("h2", { id: "shortcuts-title" }, "Keyboard shortcuts");
    const dialog = element(
      "dialog",
      { class: "shortcuts", "aria-labelledby": title.id, closedby: "any" },
      title,
      ...[...this.#groups].map(([name, shortcuts]) => groupNode(name, shortcuts)),
      element("p", {}, box, " ", label),
      close,
    );
    close.addEventListener("click", () => dialog.close());
    return dialog;
  }
}

function groupNode(name, shortcuts) {
  const rows = shortcuts.flatMap(({ keys, title }) => [
    element("dt", {}, title),
    element("dd", {}, ...keyNodes(keys)),
  ]);
  return element("section", {}, element("h3", {}, name), element("dl", {}, ...rows));
}

function keyNodes(keys) {
  return keys.split(" ").map((key) => element("kbd", {}, isMac ? key.replace("Ctrl", "⌘") : key));
}

// "Ctrl+Shift+O", "Shift+Enter", "?": Shift is not named where it only chooses the character.
function keyOf(event) {
  const hasControl = event.ctrlKey || event.metaKey;
  const isCharacter = event.key.length === 1;
  const modifiers = [
    hasControl && "Ctrl",
    event.altKey && "Alt",
    event.shiftKey && (hasControl || !isCharacter) && "Shift",
  ].filter(Boolean);
  const key = isCharacter && hasControl ? event.key.toUpperCase() : event.key;
  return [...modifiers, key].join("+");
}

function isPlain(key) {
  return !/^(Ctrl|Alt)\+./.test(key);
}

function plainKeysOn() {
  return loadPreference("plain-keys") !== "off";
}
