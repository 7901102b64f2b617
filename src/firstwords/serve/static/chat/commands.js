// Commands that begin with "/" in the message box.

const SETTING_OF = { temperature: "temperature", topk: "top_k", topp: "top_p", seed: "seed" };
const HELP =
  "Commands: /temperature 0.5, /topk 50, /topp 0.9, /seed 1, /clear (a new chat), /help. " +
  "Keys: Enter sends, Shift+Enter adds a line, the up arrow in an empty box edits your last " +
  "message, Escape stops an answer, / goes to the message box, Ctrl+Shift+O starts a new chat.";

export function isCommand(text) {
  return /^\/[a-z]+(\s|$)/.test(text);
}

// Runs a command and returns {text, failed}. `settings` is a SettingsForm; `clear()` starts a chat.
export function runCommand(text, settings, clear) {
  const [, name, value] = /^\/([a-z]+)\s*(.*)$/s.exec(text.trim());
  if (name === "help") return { text: HELP };
  if (name === "clear") {
    clear();
    return { text: "" };
  }
  const setting = SETTING_OF[name];
  if (!setting) return { text: `There is no command /${name}. /help lists them.`, failed: true };
  const problem = settings.set(setting, value);
  return problem
    ? { text: problem, failed: true }
    : { text: `${name} is ${value || "random"} now.` };
}
