// Conversations and settings, kept in this browser for the model with this id. Where a browser keeps
// nothing for a file, the page works without.

const MAX_CHATS = 100;

export class Store {
  constructor(id) {
    this.name = `firstwords.${id}`;
    this.works = this.write("test", true);
  }

  read(part, fallback) {
    try {
      return JSON.parse(localStorage.getItem(`${this.name}.${part}`)) ?? fallback;
    } catch {
      return fallback;
    }
  }

  write(part, value) {
    try {
      localStorage.setItem(`${this.name}.${part}`, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  }

  // The conversations, newest first: {turns} each, as page.js makes them.
  loadChats() {
    const stored = this.read("chats", []);
    return Array.isArray(stored) ? stored.filter((chat) => Array.isArray(chat?.turns)) : [];
  }

  // Saves as many of the newest conversations as there is room for.
  saveChats(chats) {
    const saved = chats.filter((chat) => chat.turns.length).slice(0, MAX_CHATS);
    while (!this.write("chats", saved) && saved.length > 1) saved.pop();
  }
}
