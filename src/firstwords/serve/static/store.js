// Conversations and settings, kept in this browser alone.

const CHATS = "firstwords.chats";
const SETTINGS = "firstwords.settings";
const MOST_CHATS = 100;

export const DEFAULTS = {
  temperature: 0.7,
  top_p: 0.95,
  top_k: 50,
  min_p: 0,
  repetition_penalty: 1,
  max_tokens: 256,
  seed: "",
  key: "",
};

function read(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false; // private windows and full stores: the chat still works, unsaved
  }
}

export function loadChats() {
  const found = read(CHATS, []);
  return Array.isArray(found) ? found.filter((chat) => Array.isArray(chat?.turns)) : [];
}

export function saveChats(chats) {
  const kept = chats.filter((chat) => chat.turns.length).slice(0, MOST_CHATS);
  while (!write(CHATS, kept) && kept.length > 1) kept.pop();
}

export function loadSettings() {
  return { ...DEFAULTS, ...read(SETTINGS, {}) };
}

export function saveSettings(settings) {
  write(SETTINGS, settings);
}

export function newChat() {
  return { id: crypto.randomUUID?.() ?? String(Date.now() + Math.random()), turns: [] };
}

export function titleOf(chat) {
  return chat.turns[0]?.text.slice(0, 60) || "New chat";
}
