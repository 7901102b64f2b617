// The conversation on the page: messages, replies, and notes between them. Nodes of the page that
// still stand for the same thing are kept, so that focus, selection and screen readers are not
// disturbed.

import { element } from "../shared/dom.js";
import { AnswerView } from "./answer_view.js";
import { answersOf, childrenOf, isReply } from "./tree.js";

const AT_END = 60; // pixels from the end within which the log follows an answer

// `actions` has those of AnswerView, and edit(message), draftOf(message), saveDraftOf(message,
// text), saveEdit(message, text), cancelEdit(message), choose(node, step).
export class LogView {
  constructor(page, actions) {
    Object.assign(this, { page, actions, chatId: null, views: new Map() });
    page.log.addEventListener("scroll", () => this.showEndButton(), { passive: true });
    addEventListener("scroll", () => this.showEndButton(), { passive: true });
    addEventListener("resize", () => this.showEndButton());
    page.end.addEventListener("click", () => {
      this.scrollToEnd();
      page.message.focus();
    });
  }

  // `running` are the ids of the answers that this page generates.
  show({ chat, path, editing, running }) {
    const atEnd = this.isAtEnd() || chat.id !== this.chatId;
    if (chat.id !== this.chatId) this.views.clear();
    this.chatId = chat.id;
    const nodes = [];
    const firstRead = firstMessageRead(chat, path);
    let before = null; // the reply before
    for (const node of path) {
      if (node === firstRead) nodes.push(this.note(`read-${node.id}`, READ_FROM_HERE));
      if (isReply(node)) {
        const change = describeChange(before, node);
        if (change) nodes.push(this.note(`change-${node.id}`, change));
        nodes.push(this.reply(chat, node, running));
        before = node;
      } else nodes.push(this.message(chat, node, editing === node.id, running.size > 0));
    }
    syncChildren(this.page.log, nodes);
    if (atEnd) this.scrollToEnd();
    this.showEndButton();
  }

  // Shows the progress of one answer.
  showProgress(answer, running) {
    const view = this.views.get(`answer-${answer.id}`)?.made;
    if (!view) return;
    const atEnd = this.isAtEnd();
    view.update(answer, running);
    if (atEnd) this.scrollToEnd();
    this.showEndButton();
  }

  // The view under a key, made again if `signature` has changed.
  view(key, signature, make) {
    const known = this.views.get(key);
    if (known?.signature === signature) return known.made;
    const made = make();
    this.views.set(key, { signature, made });
    return made;
  }

  note(key, text) {
    return this.view(key, text, () => element("p", { class: "note" }, text));
  }

  message(chat, node, editing, busy) {
    const branch = branchOf(chat, node);
    const signature = JSON.stringify([editing, busy, branch]);
    return this.view(node.id, signature, () =>
      editing ? this.editor(node) : this.messageNode(node, branch, busy),
    );
  }

  messageNode(node, branch, busy) {
    const { actions } = this;
    const button = (name, text, onclick) =>
      element("button", { type: "button", "data-focus": `${name}-${node.id}`, onclick }, text);
    const copy = button("copy", "Copy", () => actions.copy(node.text, copy));
    const buttons = [copy];
    if (!busy) buttons.push(button("edit", "Edit", () => actions.edit(node)));
    return element(
      "div",
      { class: "turn user-turn" },
      element("span", { class: "hidden" }, "You: "),
      element("div", { class: "user-message" }, element("p", { class: "text" }, node.text)),
      element("div", { class: "actions" }, ...this.branchButtons(node, branch), ...buttons),
    );
  }

  editor(node) {
    const { actions } = this;
    const id = `edit-${node.id}`;
    const box = element("textarea", { id, class: "editor", "data-focus": `edit-${node.id}` });
    box.value = actions.draftOf(node) || node.text;
    box.addEventListener("input", () => actions.saveDraftOf(node, box.value));
    const rows = Math.max(2, node.text.split("\n").length, Math.ceil(node.text.length / 60));
    box.rows = Math.min(10, rows);
    const save = () => actions.saveEdit(node, box.value);
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") actions.cancelEdit(node);
      else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) save();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    return element(
      "div",
      { class: "turn user-turn" },
      element("label", { class: "hidden", for: id }, "Edit the message"),
      box,
      element(
        "div",
        { class: "actions" },
        element("button", { type: "button", class: "primary", onclick: save }, "Save and send"),
        element("button", { type: "button", onclick: () => actions.cancelEdit(node) }, "Cancel"),
      ),
    );
  }

  reply(chat, node, running) {
    const answers = answersOf(chat, node);
    const branch = branchOf(chat, node);
    const busy = running.size > 0;
    const views = answers.map((answer) => {
      const key = `answer-${answer.id}`;
      const view = this.view(key, node.id, () => new AnswerView(answer, node, this.actions));
      view.update(answer, running.has(answer.id));
      return view.node;
    });
    const grid = this.view(`answers-${node.id}`, "", () => element("div", { class: "answers" }));
    syncChildren(grid, views);
    grid.classList.toggle("single", views.length === 1);
    const buttons = this.view(`branches-${node.id}`, JSON.stringify([branch, busy]), () =>
      element("div", { class: "actions" }, ...(busy ? [] : this.branchButtons(node, branch))),
    );
    const turn = this.view(node.id, "", () => element("div", { class: "turn" }));
    syncChildren(turn, [grid, buttons]);
    return turn;
  }

  // "‹ 2 / 3 ›", if there are several branches.
  branchButtons(node, [place, count]) {
    if (count < 2) return [];
    const { actions } = this;
    const what = isReply(node) ? "answer" : "message";
    const button = (name, step, text) => {
      const label = `${name} version of the ${what}`;
      const focus = `${name}-${node.parent}`;
      const attributes = { type: "button", "aria-label": label, "data-focus": focus };
      return element("button", { ...attributes, onclick: () => actions.choose(node, step) }, text);
    };
    const text = element("span", { class: "place" }, `${place} / ${count}`);
    const buttons = [button("Previous", -1, "‹"), text, button("Next", 1, "›")];
    return [element("span", { class: "branches" }, ...buttons)];
  }

  // On low screens, the page scrolls instead of the log.
  get scroller() {
    const { log } = this.page;
    return getComputedStyle(log).overflowY === "visible" ? document.scrollingElement : log;
  }

  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < AT_END;
  }

  scrollToEnd() {
    const { scroller } = this;
    scroller.scrollTop = scroller.scrollHeight;
  }

  showEndButton() {
    this.page.end.hidden = this.isAtEnd();
  }
}

const READ_FROM_HERE =
  "The context is full: the model no longer reads the messages above this line.";

// [place, count] among the branches, the first is 1.
function branchOf(chat, node) {
  const siblings = childrenOf(chat, node.parent);
  return [siblings.findIndex((other) => other.id === node.id) + 1, siblings.length];
}

// The first message that the models of the newest reply have read, if they have not read all.
function firstMessageRead(chat, path) {
  const last = path.findLast(isReply);
  const first = last ? answersOf(chat, last).map((answer) => answer.firstRead) : [];
  return path.findLast((node) => first.includes(node.id)) ?? null;
}

function describeChange(before, reply) {
  if (!before?.stages.length) return ""; // or it was given
  const changes = [];
  if (before.run !== reply.run) changes.push(`run ${reply.run}`);
  if (before.run !== reply.run || before.stages.join() !== reply.stages.join())
    changes.push(`${reply.stages.length > 1 ? "stages" : "stage"} ${reply.stages.join(", ")}`);
  const models = changes.length ? `From here, ${changes.join(", ")} answers.` : "";
  const system = before.system !== reply.system ? "The system message changed here." : "";
  return [models.replace(/(stages .*) answers/, "$1 answer"), system].filter(Boolean).join(" ");
}

// Makes `nodes` the children of `parent` without touching those that stay in place.
function syncChildren(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.childNodes[index] !== node)
      parent.insertBefore(node, parent.childNodes[index] ?? null);
  });
}
