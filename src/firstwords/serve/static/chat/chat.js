// The chat page: models, conversations, settings, and what they look like on the page.

import { listModels, streamAnswer } from "../shared/api.js";
import { candidateTables, element, pieceNodes, textOf } from "../shared/dom.js";
import {
  DEFAULTS,
  loadChats,
  loadSettings,
  newChat,
  saveChats,
  saveSettings,
  titleOf,
} from "../shared/storage.js";

const EXAMPLES = [
  "Hello! Who are you?",
  "What is the capital of Japan?",
  "What is 127 times 46?",
  "How do you spell garden?",
  "Tell me a short story about a fox.",
  "Why is the sky blue?",
];
const STAGES = ["pretrain", "midtrain", "sft"];
const ABOUT_STAGE = {
  pretrain: "pretrain was trained on plain text and continues whatever you write",
  midtrain: "midtrain was also trained on conversations",
  sft: "sft was trained to answer",
};

const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const state = {
  models: [],
  stages: new Set(), // selected
  chats: loadChats(),
  chat: newChat(),
  settings: loadSettings(),
  controller: null, // aborts the answers that are being generated
};

// --- models ---------------------------------------------------------------------------------------

async function refreshModels() {
  try {
    state.models = await listModels(state.settings.key);
  } catch (error) {
    showStatus(`Cannot reach the server: ${error.message}`);
    return;
  }
  const runs = [...new Set(state.models.map((model) => model.run))];
  page.run.replaceChildren(...runs.map((run) => element("option", { value: run }, run)));
  if (!runs.length) {
    showStatus("No model has a checkpoint yet. Open Training to see the progress.");
    return;
  }
  showStages();
  showStatus("");
}

function stagesOfRun() {
  const models = state.models.filter((model) => model.run === page.run.value);
  return STAGES.filter((stage) => models.some((model) => model.stage === stage));
}

function showStages() {
  const available = stagesOfRun();
  state.stages = new Set([...state.stages].filter((stage) => available.includes(stage)));
  if (!state.stages.size) state.stages.add(available.at(-1));
  page.stages.replaceChildren(element("legend", {}, "Stages"), ...available.map(stageCheckbox));
  showAbout();
}

function stageCheckbox(stage) {
  const checkbox = element("input", { type: "checkbox", id: `stage-${stage}` });
  checkbox.checked = state.stages.has(stage);
  checkbox.addEventListener("change", () => {
    if (checkbox.checked) state.stages.add(stage);
    else state.stages.delete(stage);
    if (!state.stages.size) showStages();
    showAbout();
  });
  return element("span", {}, checkbox, " ", element("label", { for: checkbox.id }, stage));
}

function selectedModels() {
  return state.models
    .filter((model) => model.run === page.run.value && state.stages.has(model.stage))
    .sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage));
}

function showAbout() {
  const selected = STAGES.filter((stage) => state.stages.has(stage));
  page.about.textContent =
    `${selected.map((stage) => ABOUT_STAGE[stage]).join("; ")}. Select several stages to compare ` +
    "their answers. Hover over a word of an answer to see the alternatives and their probabilities.";
}

// --- the conversation -----------------------------------------------------------------------------

function showChat() {
  page.empty.hidden = state.chat.turns.length > 0;
  page.log.replaceChildren(...state.chat.turns.flatMap(turnNodes));
  page.log.scrollTop = page.log.scrollHeight;
  showChats();
}

function turnNodes(turn, index) {
  const edit = element("button", { type: "button", onclick: () => editTurn(index) }, "Edit");
  const xray = element("a", { href: xrayUrl(turn.text) }, "X-ray");
  const message = element(
    "div",
    { class: "turn user-message" },
    element("span", { class: "hidden" }, "You: "),
    element("p", { class: "text" }, turn.text),
    element("div", { class: "actions" }, edit, xray),
  );
  const answers = element("div", { class: "answers" }, ...turn.answers.map(answerNode));
  const reply = element("div", { class: "turn" }, answers);
  if (index === state.chat.turns.length - 1) {
    const again = element("button", { type: "button", onclick: regenerate }, "Regenerate");
    reply.append(element("div", { class: "actions" }, again));
  }
  return [message, reply];
}

// The X-ray of a message in the selected stages. The parameters follow a "#", which browsers do not
// send to the server.
function xrayUrl(text) {
  const stages = [...state.stages].join(",");
  return `xray/#${new URLSearchParams({ run: page.run.value, stages, chat: "1", text })}`;
}

function answerNode(answer) {
  const text = element("p", { class: "text" }, ...answer.pieces.flatMap(pieceNodes));
  const details = element("p", { class: "details" });
  answer.nodes = { text, details };
  showDetails(answer);
  return element(
    "article",
    { class: "answer" },
    element("h3", {}, answer.model),
    text,
    details,
  );
}

function showDetails(answer) {
  const { text, details } = answer.nodes;
  text.classList.toggle("waiting", !answer.finishReason);
  const parts = [];
  if (answer.finishReason === "stop" && !textOf(answer.pieces).trim()) parts.push("empty answer");
  if (answer.seconds) {
    const tokens = answer.tokens === 1 ? "1 token" : `${answer.tokens} tokens`;
    parts.push(`${tokens}, ${Math.round(answer.tokens / answer.seconds)} tokens/s`);
  }
  if (answer.finishReason === "length") parts.push("truncated at the maximum length");
  if (answer.finishReason === "stopped") parts.push("stopped");
  details.textContent = parts.join("; ");
  if (answer.error) details.replaceChildren(element("span", { class: "error" }, answer.error));
}

// The conversation as one model sees it: with its own answers, or with those of the first model in
// turns in which it was not selected.
function messagesFor(model) {
  return state.chat.turns.flatMap((turn, index) => {
    const question = { role: "user", content: turn.text };
    if (index === state.chat.turns.length - 1) return [question];
    const answer = turn.answers.find((other) => other.model === model) ?? turn.answers[0];
    const content = answer ? textOf(answer.pieces).trim() : "";
    return content ? [question, { role: "assistant", content }] : [question];
  });
}

async function send(text) {
  if (state.controller || !text.trim()) return;
  if (!selectedModels().length) {
    await refreshModels();
    if (!selectedModels().length) return;
  }
  if (!state.chats.includes(state.chat)) state.chats.unshift(state.chat);
  const turn = { text: text.trim(), answers: [] };
  state.chat.turns.push(turn);
  await answerTurn(turn);
}

async function answerTurn(turn) {
  state.controller = new AbortController();
  turn.answers = selectedModels().map((model) => ({
    model: model.id,
    pieces: [],
    tokens: 0,
    finishReason: null,
  }));
  showChat();
  showGenerating(true);
  await Promise.all(turn.answers.map((answer) => generate(answer, state.controller.signal)));
  state.controller = null;
  showGenerating(false);
  storeChats();
  showChat();
}

async function generate(answer, signal) {
  const { key, seed, ...settings } = state.settings;
  if (seed !== "") settings.seed = Number(seed);
  const messages = messagesFor(answer.model);
  const started = performance.now();
  let pending = []; // tokens whose text the server holds back, such as half of a character
  try {
    for await (const chunk of streamAnswer(answer.model, messages, settings, key, signal)) {
      pending.push(...chunk.tokens);
      answer.tokens += chunk.tokens.length;
      answer.seconds = (performance.now() - started) / 1000;
      if (chunk.text) {
        appendPiece(answer, { text: chunk.text, tokens: pending });
        pending = [];
      }
      if (chunk.finishReason) answer.finishReason = chunk.finishReason;
      showDetails(answer);
    }
  } catch (error) {
    answer.finishReason = "stopped";
    if (error.name !== "AbortError") answer.error = `Error: ${error.message}.`;
  }
  answer.finishReason ??= "stopped";
  showDetails(answer);
}

function appendPiece(answer, piece) {
  answer.pieces.push(piece);
  const log = page.log;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  answer.nodes.text.append(...pieceNodes(piece));
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function editTurn(index) {
  if (state.controller) return;
  page.message.value = state.chat.turns[index].text;
  state.chat.turns.length = index;
  storeChats();
  showChat();
  resizeMessage();
  page.message.focus();
}

async function regenerate() {
  if (!state.controller) await answerTurn(state.chat.turns.at(-1));
}

function showGenerating(generating) {
  page.stop.hidden = !generating;
  page.send.hidden = generating;
  page.log.setAttribute("aria-busy", String(generating));
  showStatus(generating ? "Generating. Press Escape to stop." : "");
}

function showStatus(text) {
  page.status.textContent = text;
}

// --- conversations --------------------------------------------------------------------------------

function storeChats() {
  const withoutNodes = state.chats.map((chat) => ({
    ...chat,
    turns: chat.turns.map((turn) => ({
      ...turn,
      answers: turn.answers.map(({ nodes, ...answer }) => answer),
    })),
  }));
  saveChats(withoutNodes);
}

function showChats() {
  const items = state.chats.map((chat) => {
    const title = titleOf(chat);
    const open = element("button", { type: "button", class: "open" }, title);
    open.addEventListener("click", () => openChat(chat));
    open.setAttribute("aria-current", String(chat === state.chat));
    const remove = element("button", { type: "button", "aria-label": `Delete ${title}` }, "×");
    remove.addEventListener("click", () => deleteChat(chat));
    return element("li", {}, open, remove);
  });
  page.chats.replaceChildren(...items);
}

function openChat(chat) {
  state.controller?.abort();
  state.chat = chat;
  closeMenu();
  showChat();
  page.message.focus();
}

function deleteChat(chat) {
  state.chats = state.chats.filter((other) => other !== chat);
  storeChats();
  if (chat === state.chat) openChat(newChat());
  else showChats();
}

function closeMenu() {
  page.sidebar.classList.remove("open");
  page.menu.setAttribute("aria-expanded", "false");
}

// --- settings -------------------------------------------------------------------------------------

function showSettings() {
  for (const name of Object.keys(DEFAULTS)) {
    page[name].value = state.settings[name];
    const output = page[`${name}-value`];
    if (output) output.textContent = state.settings[name];
  }
}

function changeSetting(name) {
  const input = page[name];
  if (!input.checkValidity()) return;
  const isNumber = input.type === "range" || (input.type === "number" && input.value !== "");
  const value = isNumber ? Number(input.value) : input.value;
  const mayBeEmpty = name === "seed" || name === "key";
  state.settings[name] = value === "" && !mayBeEmpty ? DEFAULTS[name] : value;
  const output = page[`${name}-value`];
  if (output) output.textContent = input.value;
  saveSettings(state.settings);
}

// --- the tooltip of a token -----------------------------------------------------------------------

function showTooltip(node) {
  const { tooltip } = page;
  tooltip.replaceChildren(...candidateTables(node.tokens));
  tooltip.hidden = false;
  const box = node.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - tooltip.offsetWidth - 8);
  const below = box.bottom + 6;
  const fits = below + tooltip.offsetHeight < innerHeight;
  tooltip.style.left = `${Math.max(8, left)}px`;
  tooltip.style.top = `${fits ? below : box.top - tooltip.offsetHeight - 6}px`;
}

function hideTooltip() {
  page.tooltip.hidden = true;
}

page.log.addEventListener("pointerover", (event) => {
  if (event.target.tokens) showTooltip(event.target);
  else hideTooltip();
});
page.log.addEventListener("pointerleave", hideTooltip);
page.log.addEventListener("scroll", hideTooltip);

// --- events ---------------------------------------------------------------------------------------

function resizeMessage() {
  page.message.style.height = "auto";
  page.message.style.height = `${page.message.scrollHeight}px`;
}

page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = page.message.value;
  if (state.controller || !text.trim()) return;
  page.message.value = "";
  resizeMessage();
  send(text);
});
page.message.addEventListener("input", resizeMessage);
page.message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    page.form.requestSubmit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    state.controller?.abort();
    closeMenu();
    hideTooltip();
  }
});
page.stop.addEventListener("click", () => state.controller?.abort());
page.new.addEventListener("click", () => openChat(newChat()));
page.run.addEventListener("change", showStages);
page.menu.addEventListener("click", () => {
  const open = page.sidebar.classList.toggle("open");
  page.menu.setAttribute("aria-expanded", String(open));
});
page.defaults.addEventListener("click", () => {
  state.settings = { ...DEFAULTS, key: state.settings.key };
  saveSettings(state.settings);
  showSettings();
});
for (const name of Object.keys(DEFAULTS)) {
  page[name].addEventListener("input", () => changeSetting(name));
  page[name].addEventListener("change", () => name === "key" && refreshModels());
}
page.examples.append(
  ...EXAMPLES.map((text) => {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => send(text));
    return element("li", {}, button);
  }),
);

showSettings();
showChat();
await refreshModels();
