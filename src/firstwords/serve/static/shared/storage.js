// What this browser stores, and only it: settings here, conversations in chat/store.js.

const SETTINGS = "firstwords.settings";

export const DEFAULTS = {
  temperature: 0.5,
  top_p: 0.95,
  top_k: 50,
  min_p: 0,
  repetition_penalty: 1,
  max_tokens: 256,
  seed: "",
  system: "",
  key: "",
};

export function read(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? fallback;
  } catch {
    return fallback;
  }
}

// Returns whether the value was stored: not in some private windows, nor when storage is full.
export function write(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function loadSettings() {
  return { ...DEFAULTS, ...read(SETTINGS, {}) };
}

export function saveSettings(settings) {
  return write(SETTINGS, settings);
}
