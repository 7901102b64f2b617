// The page: it connects conversation, settings and storage with the worker that runs the model.

import {
  contentOf,
  detailsOf,
  pieceElement,
  plainTextOf,
  probabilityTables,
  turnNodes,
} from "./conversation.js";
import { element } from "./dom.js";
import { samplingOf, showSettings } from "./settings.js";
import { Store } from "./storage.js";

const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const model = JSON.parse(page.model.textContent);
const DEFAULTS = { ...model.sampling, seed: "" };
const store = new Store(model.id);
const state = {
  chats: store.loadChats(),
  chat: null,
  settings: { ...DEFAULTS, ...store.read("settings", {}) },
  answering: null, // {turn, nodes, number, started}
  number: 0, // of the newest answer
};

// --- the model ------------------------------------------------------------------------------------

function startWorker() {
  const script = new Blob([page.worker.textContent], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(script));
  worker.onmessage = ({ data }) => (data.ready ? showReady() : receive(data));
  worker.onerror = (event) => showFailure(event.message);
  worker.postMessage({ model, weights: page.weights.textContent });
  return worker;
}

function showReady() {
  document.body.dataset.ready = "true";
  if (!state.answering) showStatus("");
}

function showFailure(message) {
  showStatus(`The model stopped: ${message || "this browser does not run it"}. Reload the page.`);
  if (state.answering) finish("stopped");
}

// --- answers --------------------------------------------------------------------------------------

function send(text) {
  const question = text.trim();
  if (state.answering || !question) return;
  if (!state.chats.includes(state.chat)) state.chats.unshift(state.chat);
  state.chat.turns.push({ question });
  answerLast();
}

function answerLast() {
  if (state.answering) return;
  const turn = state.chat.turns.at(-1);
  Object.assign(turn, { pieces: [], done: null, tokens: 0, seconds: 0, notes: [] });
  state.number += 1;
  state.answering = { turn, number: state.number, started: performance.now() };
  showChat();
  showAnswering(true);
  save();
  const request = { sampling: samplingOf(state.settings) };
  if (model.chats) request.messages = messages();
  else request.text = turn.question;
  worker.postMessage({ request, number: state.number });
}

function messages() {
  return state.chat.turns.flatMap((turn, index) => {
    const question = { role: "user", content: turn.question };
    if (index === state.chat.turns.length - 1) return [question];
    return [question, { role: "assistant", content: contentOf(turn) }];
  });
}

function receive({ number, events, done }) {
  if (number !== state.answering?.number) return;
  for (const event of events ?? []) take(event);
  if (done) finish(done);
}

function take({ prompt, ...piece }) {
  const { turn, nodes } = state.answering;
  if (prompt) {
    state.answering.started = performance.now();
    if (prompt.dropped) turn.notes.push(`without the ${prompt.dropped} oldest messages, for lack of room`);
    if (prompt.truncated) turn.notes.push("of your text only the end fits the context");
    return;
  }
  turn.pieces.push(piece);
  turn.tokens += piece.tokens.length;
  turn.seconds = (performance.now() - state.answering.started) / 1000;
  const atEnd = page.log.scrollHeight - page.log.scrollTop - page.log.clientHeight < 60;
  nodes.words.append(pieceElement(piece));
  nodes.details.replaceChildren(detailsOf(turn));
  if (atEnd) page.log.scrollTop = page.log.scrollHeight;
}

function finish(done) {
  state.answering.turn.done = done;
  state.answering = null;
  save();
  showAnswering(false);
  showChat();
}

function stop() {
  if (!state.answering) return;
  worker.postMessage({ stop: true });
  finish("stopped");
  page.message.focus();
}

function showAnswering(answering) {
  if (answering && document.activeElement === page.send) page.message.focus();
  page.stop.hidden = !answering;
  page.send.hidden = answering;
  page.log.setAttribute("aria-busy", String(answering));
  const loading = document.body.dataset.ready ? "" : "Loading the model…";
  showStatus(loading);
}

function showStatus(text) {
  page.status.textContent = text;
}

// --- conversations --------------------------------------------------------------------------------

function showChat() {
  hideTooltip();
  page.empty.hidden = state.chat.turns.length > 0;
  page.log.replaceChildren(...state.chat.turns.flatMap(nodesOf));
  page.log.scrollTop = page.log.scrollHeight;
}

function nodesOf(turn, index) {
  const isLast = index === state.chat.turns.length - 1;
  const nodes = turnNodes(turn, model.name, turn.done ? actionsOf(turn, isLast) : []);
  if (turn === state.answering?.turn) state.answering.nodes = nodes;
  return [nodes.question, element("div", {}, nodes.words, nodes.details)];
}

function actionsOf(turn, isLast) {
  const copyButton = element("button", { type: "button" }, "Copy");
  copyButton.addEventListener("click", () => copy(turn, copyButton));
  if (!isLast) return [copyButton];
  const again = element("button", { type: "button" }, "Try again");
  again.addEventListener("click", () => {
    answerLast();
    page.message.focus();
  });
  return [copyButton, again];
}

async function copy(turn, button) {
  const text = model.chats ? plainTextOf(turn) : turn.question + contentOf(turn);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // where a browser gives files no clipboard
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const area = element("textarea", { class: "hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  focused?.focus();
}

function openChat(chat) {
  stop();
  state.chat = chat;
  showChat();
  save();
  page.chats.close();
  page.message.focus();
}

function deleteChat(chat) {
  if (chat === state.chat) {
    stop();
    state.chat = { turns: [] };
    showChat();
  }
  state.chats = state.chats.filter((other) => other !== chat);
  save();
  showChats();
  page.new.focus();
}

function showChats() {
  const items = state.chats.map((chat) => {
    const title = chat.turns[0].question.slice(0, 60);
    const open = element("button", { type: "button", class: "open" }, title);
    open.setAttribute("aria-current", String(chat === state.chat));
    open.addEventListener("click", () => openChat(chat));
    const remove = element("button", { type: "button", "aria-label": `Delete ${title}` }, "×");
    remove.addEventListener("click", () => deleteChat(chat));
    return element("li", {}, open, remove);
  });
  page["chat-list"].replaceChildren(...items);
  page.storage.textContent = store.works
    ? "Chats are kept in this browser only."
    : "This browser keeps nothing for this page: chats are lost when you close it.";
}

function save() {
  store.saveChats(state.chats);
  store.write("open", state.chats.indexOf(state.chat));
}

// The conversation that was open before the page was reloaded. An answer that it interrupted is
// over.
function reopenChat() {
  for (const turn of state.chats.flatMap((chat) => chat.turns)) turn.done ??= "stopped";
  return state.chats[store.read("open", -1)] ?? { turns: [] };
}

// --- probabilities --------------------------------------------------------------------------------

function showTooltip(node) {
  hideTooltip();
  node.classList.add("shown");
  page.tooltip.replaceChildren(...probabilityTables(node.tokens));
  page.tooltip.hidden = false;
  const box = node.getBoundingClientRect();
  const { offsetWidth, offsetHeight } = page.tooltip;
  const below = box.bottom + 6;
  const top = below + offsetHeight < innerHeight ? below : box.top - offsetHeight - 6;
  page.tooltip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - offsetWidth - 8))}px`;
  page.tooltip.style.top = `${Math.max(8, top)}px`;
}

function hideTooltip() {
  page.log.querySelector(".token.shown")?.classList.remove("shown");
  page.tooltip.hidden = true;
}

function showUnder(event) {
  const node = event.target.closest?.(".token");
  if (node) showTooltip(node);
  else hideTooltip();
}

// The arrow keys go from token to token of the answer with the focus.
function moveThroughTokens(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || !event.target.matches(".words")) return;
  const tokens = [...event.target.querySelectorAll(".token")];
  if (!tokens.length) return;
  event.preventDefault();
  const shown = tokens.findIndex((token) => token.classList.contains("shown"));
  const next = shown < 0 ? (step > 0 ? 0 : tokens.length - 1) : shown + step;
  const node = tokens[Math.min(Math.max(next, 0), tokens.length - 1)];
  node.scrollIntoView({ block: "nearest" });
  showTooltip(node);
}

// --- events ---------------------------------------------------------------------------------------

function resizeMessage() {
  page.message.style.height = "auto";
  page.message.style.height = `${page.message.scrollHeight + 2}px`;
}

function saveSettings() {
  store.write("settings", state.settings);
}

page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.answering || !page.message.value.trim()) return;
  const text = page.message.value;
  page.message.value = "";
  resizeMessage();
  send(text);
});
page.message.addEventListener("input", resizeMessage);
page.message.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  page.form.requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (page.tooltip.hidden) stop();
  hideTooltip();
});
page.log.addEventListener("keydown", moveThroughTokens);
page.log.addEventListener("pointerover", showUnder);
page.log.addEventListener("click", showUnder);
page.log.addEventListener("pointerleave", hideTooltip);
page.log.addEventListener("focusout", hideTooltip);
page.stop.addEventListener("click", stop);
page.new.addEventListener("click", () => openChat({ turns: [] }));
page.defaults.addEventListener("click", () => {
  Object.assign(state.settings, DEFAULTS);
  saveSettings();
  showSettings(page.fields, state.settings, saveSettings);
});
page["open-chats"].addEventListener("click", () => {
  showChats();
  page.chats.showModal();
});
page["open-settings"].addEventListener("click", () => page.settings.showModal());
page["open-about"].addEventListener("click", () => page.about.showModal());
addEventListener("pagehide", save);
page.examples.append(
  ...model.examples.map((text) => {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      send(text);
      page.message.focus();
    });
    return element("li", {}, button);
  }),
);

state.chat = reopenChat();
showSettings(page.fields, state.settings, saveSettings);
showChat();
showStatus("Loading the model…");
const worker = startWorker();
