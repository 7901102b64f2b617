// Conversations and settings, stored only in this browser.

const CHATS = "firstwords.chats";
const SETTINGS = "firstwords.settings";
const MAX_CHATS = 100;

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

function read(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? fallback;
  } catch {
    return fallback;
  }
}

function write(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false; // in private windows or when storage is full, the chat works without saving
  }
}

export function loadChats() {
  const stored = read(CHATS, []);
  return Array.isArray(stored) ? stored.filter((chat) => Array.isArray(chat?.turns)) : [];
}

export function saveChats(chats) {
  const saved = chats.filter((chat) => chat.turns.length).slice(0, MAX_CHATS);
  while (!write(CHATS, saved) && saved.length > 1) saved.pop();
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
