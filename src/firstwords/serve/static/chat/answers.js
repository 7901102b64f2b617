// The answers that this page generates: of which conversations, and how to stop them. One
// conversation waits for its answers while others can be read and continued.

import { generateAnswer } from "./answering.js";
import { addReply } from "./tree.js";

export class Answers {
  // `on` has progress(chat, answer, running), change(chat) and away().
  constructor(store, settings, on) {
    Object.assign(this, { store, settings, on });
    this.running = new Map(); // the conversation, by the id of an answer being generated
    this.controllers = new Map(); // aborts the answers of a conversation, by its id
    addEventListener("pagehide", () => this.interrupt());
  }

  isBusy(chat) {
    return this.controllers.has(chat.id);
  }

  // The ids of the answers of a conversation that are being generated.
  runningOf(chat) {
    return new Set([...this.running].filter(([, other]) => other === chat).map(([id]) => id));
  }

  // Adds a reply with `answers` to a message, and generates those of them that are `fresh`.
  async reply(chat, message, answers, fresh, { run, stages }) {
    const { system } = this.settings.values;
    for (const answer of answers) chat.answers[answer.id] = answer;
    addReply(chat, message.id, { run, stages, system, answers: answers.map(({ id }) => id) });
    this.store.save(chat);
    const controller = new AbortController();
    this.controllers.set(chat.id, controller);
    for (const answer of fresh) this.running.set(answer.id, chat);
    this.on.change(chat);
    const { signal } = controller;
    await Promise.all(fresh.map((answer) => this.generate(chat, message, answer, system, signal)));
    this.controllers.delete(chat.id);
    if (this.store.chats.has(chat.id)) this.store.save(chat);
    this.on.change(chat);
  }

  async generate(chat, message, answer, system, signal) {
    const onProgress = () => {
      if (this.store.chats.has(chat.id)) this.store.saveSoon(chat);
      this.on.progress(chat, answer, true);
    };
    const settings = this.settings.values;
    const context = { chat, message, answer, system };
    const reached = await generateAnswer({ ...context, settings, signal, onProgress });
    this.running.delete(answer.id);
    this.on.progress(chat, answer, false);
    if (!reached) this.on.away();
  }

  stop(chat) {
    this.controllers.get(chat.id)?.abort();
  }

  // The page is closed or reloaded: its unfinished answers are kept as they are.
  interrupt() {
    for (const [id, chat] of this.running) {
      if (!this.store.chats.has(chat.id)) continue;
      Object.assign(chat.answers[id], { finishReason: "interrupted", time: Date.now() });
      this.store.save(chat);
    }
  }
}
