// The chat page. It holds the state, changes it in answer to what the user does, and shows it: the
// views only call actions, and each action ends in `show()`.

import { fromParameter } from "../shared/conversation.js";
import { read, write } from "../shared/storage.js";
import { newAnswer, tooLong } from "./answering.js";
import { Answers } from "./answers.js";
import { copyText } from "./clipboard.js";
import { isCommand, runCommand } from "./commands.js";
import { Composer, estimateTokens } from "./composer.js";
import { connectFiles } from "./file_buttons.js";
import { keepFocus } from "./focus.js";
import { addGiven, isQuestion } from "./given.js";
import { LogView } from "./log_view.js";
import { ModelPicker, Models, nameOf } from "./models.js";
import { ServerWatch } from "./server_watch.js";
import { SettingsForm } from "./settings_form.js";
import { Sidebar } from "./sidebar.js";
import { Starters } from "./starters.js";
import { StatusLine } from "./status_line.js";
import { ChatStore } from "./store.js";
import { TokenCard } from "./token_card.js";
import * as tree from "./tree.js";
import { xrayUrl } from "./xray_link.js";

const SHADE = "firstwords.shade";
const KEYS_OF_BOXES = [
  { keys: "Enter", title: "Send the message" },
  { keys: "Shift+Enter", title: "Add a line" },
  { keys: "ArrowUp", title: "Edit the last message, in an empty box" },
  { keys: "Escape", title: "Stop the answer, or close what is open" },
];
const NEW = "new"; // the draft of a conversation that does not exist yet

class ChatPage {
  constructor(page) {
    this.page = page;
    this.editing = null; // the id of the message that is edited
    this.models = new Models();
    this.status = new StatusLine(page.status);
    this.serverStatus = new StatusLine(page.server);
    this.store = new ChatStore({
      onChange: () => this.readOtherTab(),
      onNotice: (text, isError) => this.status.show(text, { isError }),
    });
    this.settings = new SettingsForm(page, (name) => name === "key" && this.watch.check());
    this.watch = new ServerWatch(
      () => this.refreshModels(),
      (...line) => this.showServer(...line),
    );
    this.answers = new Answers(this.store, this.settings, {
      progress: (chat, answer, running) => {
        if (chat === this.chat) this.log.showProgress(answer, running);
      },
      change: () => this.show(),
      away: () => this.watch.check(),
    });
    this.makeViews();
    this.connect();
  }

  makeViews() {
    const { page, store } = this;
    this.picker = new ModelPicker(page, this.models, (choice) => this.choose(choice));
    this.starters = new Starters(page, (text) => this.send(text));
    this.log = new LogView(page, this.logActions());
    this.card = new TokenCard(page.card, page.log, {
      xrayUrl: (answer, number) => xrayUrl(this.chat, this.replyOf(answer), answer, number),
      continueWith: (...place) => this.continueWith(...place),
    });
    this.sidebar = new Sidebar(page, store, {
      rename: (chat, title) => this.rename(chat, title),
      remove: (chat) => this.remove([chat]),
    });
    this.composer = new Composer(page, {
      send: (text) => this.send(text),
      editLast: () => this.editLast(),
      saveDraft: (text) => store.saveDraft(this.draftId, text),
    });
  }

  logActions() {
    const { store } = this;
    return {
      copy: copyText,
      edit: (message) => this.edit(message),
      draftOf: (message) => store.draft(message.id),
      saveDraftOf: (message, text) => store.saveDraft(message.id, text),
      saveEdit: (message, text) => this.saveEdit(message, text),
      cancelEdit: (message) => this.cancelEdit(message),
      choose: (node, step) => this.chooseBranch(node, step),
      regenerate: (reply, answer) => this.answerAgain(reply, answer, []),
      resume: (reply, answer) => this.answerAgain(reply, answer, answer.pieces),
      xrayUrl: (reply, answer) => xrayUrl(this.chat, reply, answer, null),
    };
  }

  connect() {
    const { page } = this;
    addEventListener("hashchange", () => this.openAddress());
    document.addEventListener("keydown", (event) => this.pressKey(event));
    page.stop.addEventListener("click", () => this.stop());
    page.new.addEventListener("click", () => this.openNew());
    const bar = document.querySelector("app-bar");
    bar.addEventListener("runchange", () => this.followBar(bar.run));
    bar.addShortcuts("Chat", [
      { keys: "/", title: "Go to the message box", action: () => page.message.focus() },
      { keys: "Ctrl+Shift+O", title: "New chat", action: () => this.openNew() },
      ...KEYS_OF_BOXES,
    ]);
    page.shade.checked = read(SHADE, false);
    page.shade.addEventListener("change", () => {
      write(SHADE, page.shade.checked);
      this.show();
    });
    connectFiles(page, {
      store: this.store,
      current: () => this.chat,
      imported: (chats) => this.openImported(chats),
      removeAll: () => this.remove(this.store.list()),
      status: this.status,
    });
  }

  // --- which conversation -----------------------------------------------------------------------

  // A conversation is stored when its first message is sent.
  get isNew() {
    return !this.store.chats.has(this.chat.id);
  }

  get draftId() {
    return this.isNew ? NEW : this.chat.id;
  }

  openAddress() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    const id = parameters.get("chat");
    const chat = this.store.chats.get(id) ?? this.emptyChat();
    this.open(chat);
    if (id && chat.id !== id)
      this.status.show("This browser has no such conversation.", { isError: true });
    if (parameters.has("conversation")) this.openGiven(parameters.get("conversation"));
  }

  // The messages of an address, such as a question of the exam: the last one waits in the message
  // box to be sent, after those before it.
  openGiven(parameter) {
    const messages = fromParameter(parameter);
    if (!isQuestion(messages))
      return this.status.show("The address holds a conversation that cannot be read.", {
        isError: true,
      });
    addGiven(this.chat, messages.slice(0, -1));
    this.show();
    this.composer.text = messages.at(-1).content;
  }

  emptyChat() {
    return tree.newChat(this.firstChoice());
  }

  // What a new conversation uses: the run and stages in the address, else the last choice.
  firstChoice() {
    const parts = [location.hash, location.search].map((part) => new URLSearchParams(part.slice(1)));
    const named = (name) => parts.map((part) => part.get(name)).find((value) => value !== null);
    const choice = this.store.choice();
    return this.models.initialChoice({
      run: named("run") ?? choice.run,
      stages: named("stages")?.split(",") ?? choice.stages,
    });
  }

  // The run chosen in the bar is that of a conversation that has not begun.
  followBar(run) {
    if (!this.isNew || !this.models.runs.includes(run)) return;
    const { stages } = this.chat;
    Object.assign(this.chat, { run, stages: this.models.existingStages(run, stages) });
    this.show();
  }

  open(chat) {
    this.chat = chat;
    this.editing = null;
    this.card.hide();
    this.status.clear();
    this.show();
    this.composer.text = this.store.draft(this.draftId);
    if (!this.page.sidebar.contains(document.activeElement)) this.page.message.focus();
  }

  goTo(chat) {
    history.pushState(null, "", `#chat=${chat.id}`);
    this.open(chat);
  }

  openNew() {
    this.sidebar.close();
    if (location.hash) history.pushState(null, "", location.pathname + location.search);
    this.open(this.emptyChat());
    this.page.message.focus();
  }

  // The chosen run and stages belong to the conversation, and are those of the next new one.
  choose({ run, stages }) {
    Object.assign(this.chat, { run, stages, updated: Date.now() });
    this.store.saveChoice(run, stages);
    if (!this.isNew) this.store.save(this.chat);
    this.show();
  }

  rename(chat, title) {
    Object.assign(chat, { title, updated: Date.now() });
    this.store.save(chat);
    this.show();
  }

  remove(chats) {
    const opened = chats.includes(this.chat);
    const place = this.store.list().indexOf(chats[0]);
    for (const chat of chats) {
      this.answers.stop(chat);
      this.store.remove(chat);
    }
    if (opened) {
      history.replaceState(null, "", location.pathname + location.search);
      this.open(this.emptyChat());
    } else this.show();
    const name =
      chats.length === 1 ? `“${tree.titleOf(chats[0])}”` : `${chats.length} conversations`;
    this.status.show(`Deleted ${name}.`, {
      button: "Undo",
      onClick: () => this.restore(chats, opened),
    });
    const links = this.page.chats.querySelectorAll("a");
    (links[Math.min(place, links.length - 1)] ?? this.page.new).focus();
  }

  restore(chats, opened) {
    for (const chat of chats) this.store.save(chat);
    this.status.clear();
    if (opened && chats.length === 1) this.goTo(chats[0]);
    else this.show();
    this.page.message.focus();
  }

  openImported(chats) {
    for (const chat of chats) this.store.save(chat);
    this.goTo(chats[0]);
  }

  readOtherTab() {
    const stored = this.store.chats.get(this.chat.id);
    if (stored) this.chat = stored;
    else if (location.hash.includes(this.chat.id) && !this.isBusy())
      this.status.show(
        "This conversation was deleted in another tab. A new message brings it back.",
      );
    this.show();
  }

  // --- sending ----------------------------------------------------------------------------------

  async send(text) {
    if (this.isBusy() || !text.trim() || tooLong(text)) return;
    if (isCommand(text.trim())) return this.command(text);
    const models = await this.modelsOf(this.chat);
    if (!models.length || this.isBusy()) return;
    const last = tree.pathOf(this.chat).at(-1);
    const message = tree.addMessage(this.chat, last?.id ?? "", text.trim());
    this.composer.clear();
    this.answer(
      message,
      models.map((model) => newAnswer(model)),
    );
    this.page.message.focus();
  }

  command(text) {
    const { text: said, failed } = runCommand(text, this.settings, () => this.openNew());
    if (!failed) this.composer.clear();
    this.status.show(said, { isError: failed });
  }

  // The models that answer; asks the server again if it had none.
  async modelsOf(chat) {
    if (!this.models.selected(chat).length) await this.watch.check();
    const models = this.models.selected(chat);
    if (!models.length && this.models.all.length) {
      const text =
        `The server no longer has run ${chat.run}. Choose another one above; ` +
        "your message stays here.";
      this.status.show(text, { isError: true });
    } else if (!models.length)
      this.status.show("No model can answer yet. Your message stays here.", { isError: true });
    return models;
  }

  // Adds a reply with `answers` to a message, and generates those of them that are `fresh`.
  answer(message, answers, fresh = answers, choice = this.chat) {
    if (this.isNew) history.replaceState(null, "", `#chat=${this.chat.id}`);
    this.status.clear();
    this.answers.reply(this.chat, message, answers, fresh, choice);
    this.log.scrollToEnd();
  }

  isBusy() {
    return this.answers.isBusy(this.chat);
  }

  stop() {
    this.answers.stop(this.chat);
    this.page.message.focus();
  }

  // --- branches ---------------------------------------------------------------------------------

  edit(message) {
    this.editing = message.id;
    this.show();
    const box = this.page.log.querySelector(".editor");
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }

  editLast() {
    const last = tree.pathOf(this.chat).findLast((node) => !tree.isReply(node));
    if (last && !this.isBusy()) this.edit(last);
  }

  cancelEdit(message) {
    this.store.saveDraft(message.id, "");
    this.editing = null;
    this.show();
  }

  async saveEdit(message, text) {
    const problem = tooLong(text);
    if (problem) return this.status.show(problem, { isError: true });
    if (!text.trim() || this.isBusy()) return;
    const models = await this.modelsOf(this.chat);
    if (!models.length || this.editing !== message.id) return;
    this.store.saveDraft(message.id, "");
    this.editing = null;
    const edited = tree.addMessage(this.chat, message.parent, text.trim());
    this.answer(
      edited,
      models.map((model) => newAnswer(model)),
    );
    this.page.message.focus();
  }

  chooseBranch(node, step) {
    tree.chooseSibling(this.chat, node, step);
    this.store.save(this.chat);
    this.show();
  }

  // Answers again with the same model, beginning with `given` pieces; the other answers of the
  // reply stay beside it.
  async answerAgain(reply, answer, given, chosen = null) {
    if (this.isBusy()) return;
    if (!this.models.byId(answer.model)) await this.watch.check();
    const model = this.models.byId(answer.model);
    if (!model) {
      this.status.show(`The server does not offer ${answer.model} now.`, { isError: true });
      return;
    }
    const again = { ...newAnswer(model, given), chosen };
    const answers = tree
      .answersOf(this.chat, reply)
      .map((other) => (other === answer ? again : other));
    this.answer(this.chat.nodes[reply.parent], answers, [again], reply);
    this.page.log.querySelector(`[data-focus="text-${again.id}"]`)?.focus({ preventScroll: true });
  }

  // Continues an answer with another token at a place of it.
  continueWith(answer, place, index, candidate) {
    const { text, tokens } = answer.pieces[place];
    const before = tokens.slice(0, index);
    const beforeText = before.map(({ token }) => token).join("");
    const kept =
      before.length && text.startsWith(beforeText) ? [{ text: beforeText, tokens: before }] : [];
    const token = { ...candidate, top: tokens[index].top };
    const given = [
      ...answer.pieces.slice(0, place),
      ...kept,
      { text: candidate.token, tokens: [token] },
    ];
    this.answerAgain(this.replyOf(answer), answer, given, given.length - 1);
  }

  replyOf(answer) {
    const replies = tree.pathOf(this.chat).filter(tree.isReply);
    return replies.find((reply) => reply.answers.includes(answer.id));
  }

  // --- the server -------------------------------------------------------------------------------

  async refreshModels() {
    const before = JSON.stringify(this.models.all);
    await this.models.refresh(this.settings.values.key);
    if (JSON.stringify(this.models.all) === before) return;
    const isUnknown = !this.models.runs.includes(this.chat.run);
    if (this.isNew && isUnknown) Object.assign(this.chat, this.firstChoice());
    this.show();
  }

  showServer(text, kind) {
    const isError = kind === "away" || kind === "key";
    const button = kind === "key" ? "Enter the key" : "";
    if (text) this.serverStatus.show(text, { isError, button, onClick: () => this.enterKey() });
    else if (!this.models.all.length)
      this.serverStatus.show(
        "No model has a checkpoint yet. The page Training shows the progress.",
      );
    else this.serverStatus.clear();
  }

  enterKey() {
    if (getComputedStyle(this.page.menu).display !== "none") this.sidebar.open();
    this.page.settings.open = true;
    this.page.key.focus();
  }

  // --- showing ----------------------------------------------------------------------------------

  show() {
    keepFocus(() => this.showAll(), this.page.message);
  }

  showAll() {
    const { page, chat, models } = this;
    const path = tree.pathOf(chat);
    const selected = models.selected(chat);
    const context = Math.min(...selected.map((model) => model.max_model_len ?? Infinity));
    const running = this.answers.runningOf(chat);
    this.picker.show(chat);
    this.starters.show(selected);
    page.empty.hidden = path.length > 0;
    page.log.hidden = !path.length;
    page.log.classList.toggle("shaded", page.shade.checked);
    this.log.show({ chat, path, editing: this.editing, running });
    this.sidebar.show(chat.id);
    if (Number.isFinite(context)) this.settings.setContext(context);
    this.composer.setContext(usedContext(chat, path), Number.isFinite(context) ? context : null);
    this.showBusy();
    document.title = [
      ...(path.length ? [tree.titleOf(chat)] : []),
      ...(nameOf(selected) ? [nameOf(selected)] : []),
      "Firstwords",
    ].join(" · ");
  }

  showBusy() {
    const { page } = this;
    const busy = this.isBusy();
    page.stop.hidden = !busy;
    page.send.hidden = busy;
    page.log.setAttribute("aria-busy", String(busy));
  }

  // Escape closes what is open, or stops the answer.
  pressKey(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    if (!this.card.close() && !this.sidebar.close()) this.answers.stop(this.chat);
  }
}

// The tokens that the newest reply has used, prompt and answer together; an estimate before the
// server has counted them.
function usedContext(chat, path) {
  const last = path.findLast(tree.isReply);
  if (!last) return 0;
  const used = tree
    .answersOf(chat, last)
    .map((answer) => (answer.promptTokens ?? 0) + answer.tokens);
  return Math.max(0, ...used) || estimateTokens(tree.documentFor(chat, last));
}

const chatPage = new ChatPage(
  Object.fromEntries([...document.querySelectorAll("[id]")].map((node) => [node.id, node])),
);
chatPage.openAddress();
await chatPage.watch.check();
