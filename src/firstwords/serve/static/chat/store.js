// The conversations in this browser's storage, one key each, so that tabs do not overwrite each
// other's: before a conversation is written, what another tab stored of it is merged.

import { read, write } from "../shared/storage.js";
import { decodeChat, encodeChat } from "./chat_format.js";
import { isEmpty, mergeInto } from "./tree.js";

const CHAT = "firstwords.chat.";
const DRAFT = "firstwords.draft.";
const CHOICE = "firstwords.choice"; // the run and stages chosen last
const SAVE_MILLISECONDS = 500; // between saves of an answer that is being generated

// `onChange(id)` is called when another tab changed a conversation, `onNotice(text)` when storage
// is full.
export class ChatStore {
  constructor({ onChange, onNotice }) {
    Object.assign(this, { onChange, onNotice });
    this.chats = new Map(); // by id
    this.saveTimers = new Map();
    for (const id of storedIds()) {
      const chat = decodeChat(read(CHAT + id, null));
      if (chat?.id === id) this.chats.set(id, chat);
    }
    addEventListener("storage", (event) => this.readChange(event));
  }

  // The newest first.
  list() {
    return [...this.chats.values()].sort((a, b) => b.updated - a.updated);
  }

  readChange({ key, newValue }) {
    if (key === null) {
      this.chats.clear();
      this.onChange(null);
    } else if (key.startsWith(CHAT)) {
      const id = key.slice(CHAT.length);
      if (newValue === null) this.chats.delete(id);
      else this.mergeStored(id);
      this.onChange(id);
    }
  }

  mergeStored(id) {
    const stored = decodeChat(read(CHAT + id, null));
    if (!stored) return;
    if (this.chats.has(id)) mergeInto(this.chats.get(id), stored);
    else this.chats.set(id, stored);
  }

  save(chat) {
    clearTimeout(this.saveTimers.get(chat.id));
    this.saveTimers.delete(chat.id);
    if (isEmpty(chat)) return;
    this.chats.set(chat.id, chat);
    this.mergeStored(chat.id);
    if (write(CHAT + chat.id, encodeChat(chat))) return;
    this.saveInFullStorage(chat);
  }

  // Gives up the probabilities of one conversation after the other, the oldest first.
  saveInFullStorage(chat) {
    const others = this.list()
      .filter((other) => other !== chat)
      .reverse();
    const shortened = [];
    for (const other of [...others, chat]) {
      if (!dropProbabilities(other)) continue;
      shortened.push(other);
      const saved = write(CHAT + other.id, encodeChat(other));
      if (saved && (other === chat || write(CHAT + chat.id, encodeChat(chat)))) {
        this.onNotice(noticeOf(shortened.length));
        return;
      }
    }
    this.onNotice(
      "Storage of this browser is full: this conversation is not saved. " +
        "Export it, or delete others.",
      true,
    );
  }

  // Saves soon, but not at each token.
  saveSoon(chat) {
    if (this.saveTimers.has(chat.id)) return;
    this.saveTimers.set(
      chat.id,
      setTimeout(() => this.save(chat), SAVE_MILLISECONDS),
    );
  }

  remove(chat) {
    clearTimeout(this.saveTimers.get(chat.id));
    this.saveTimers.delete(chat.id);
    this.chats.delete(chat.id);
    localStorage.removeItem(CHAT + chat.id);
  }

  draft(id) {
    return read(DRAFT + id, "");
  }

  saveDraft(id, text) {
    if (text) write(DRAFT + id, text);
    else localStorage.removeItem(DRAFT + id);
  }

  choice() {
    const choice = read(CHOICE, {});
    return { run: choice.run ?? "", stages: choice.stages ?? [] };
  }

  saveChoice(run, stages) {
    write(CHOICE, { run, stages });
  }
}

function storedIds() {
  try {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(CHAT))
      .map((key) => key.slice(CHAT.length));
  } catch {
    return []; // storage is forbidden
  }
}

function noticeOf(n) {
  const which = n === 1 ? "the oldest conversation" : `the ${n} oldest conversations`;
  return `Storage of this browser is full: the probabilities of ${which} were dropped.`;
}

// Returns whether there were any.
function dropProbabilities(chat) {
  let dropped = false;
  for (const answer of Object.values(chat.answers)) {
    if (!answer.finishReason || !answer.pieces.some((piece) => piece.tokens.length)) continue;
    answer.pieces = answer.pieces.map(({ text }) => ({ text, tokens: [] }));
    answer.time = Date.now();
    answer.shortened = dropped = true;
  }
  return dropped;
}
