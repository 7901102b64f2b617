// The chat: state in, events out. Nothing here knows how an answer comes about; api.js asks.

import { ask, listModels } from "./api.js";
import {
  DEFAULTS,
  loadChats,
  loadSettings,
  newChat,
  saveChats,
  saveSettings,
  titleOf,
} from "./store.js";
import { element, pieceNodes, plain, tipContent } from "./view.js";

const EXAMPLES = [
  "Hello! Who are you?",
  "What is the capital of Japan?",
  "What is 127 times 46?",
  "How do you spell garden?",
  "Tell me a short story about a fox.",
  "Why is the sky blue?",
];
const STAGES = ["base", "mid", "sft"];

const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const state = {
  models: [],
  stages: new Set(),
  chats: loadChats(),
  chat: newChat(),
  settings: loadSettings(),
  stopping: null, // aborts what is being answered
};

// --- models ---------------------------------------------------------------------------------------

async function start() {
  try {
    state.models = await listModels(state.settings.key);
  } catch (error) {
    say(`The server does not answer: ${error.message}`);
    return;
  }
  const runs = [...new Set(state.models.map((model) => model.run))];
  page.run.replaceChildren(...runs.map((run) => element("option", { value: run }, run)));
  if (!runs.length) {
    say("No model has a checkpoint yet. See how far Training is, and come back in a minute.");
    return;
  }
  showStages();
  say("");
}

function stagesOfRun() {
  const own = state.models.filter((model) => model.run === page.run.value);
  return STAGES.filter((stage) => own.some((model) => model.stage === stage));
}

function showStages() {
  const found = stagesOfRun();
  state.stages = new Set([...state.stages].filter((stage) => found.includes(stage)));
  if (!state.stages.size) state.stages.add(found.at(-1));
  const boxes = found.map((stage) => {
    const box = element("input", { type: "checkbox", id: `stage-${stage}` });
    box.checked = state.stages.has(stage);
    box.addEventListener("change", () => {
      if (box.checked) state.stages.add(stage);
      else state.stages.delete(stage);
      if (!state.stages.size) showStages();
      showAbout();
    });
    return element("span", {}, box, " ", element("label", { for: box.id }, stage));
  });
  page.stages.replaceChildren(element("legend", {}, "Stages"), ...boxes);
  showAbout();
}

function chosenModels() {
  return state.models
    .filter((model) => model.run === page.run.value && state.stages.has(model.stage))
    .sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage));
}

function showAbout() {
  const chosen = [...state.stages];
  const knows = {
    base: "base has only read text, and goes on with whatever you write",
    mid: "mid has read conversations too",
    sft: "sft was taught to answer",
  };
  const words = STAGES.filter((stage) => chosen.includes(stage)).map((stage) => knows[stage]);
  page.about.textContent =
    `${words.join("; ")}. Tick several stages to see what each one taught. ` +
    "Point at a word of an answer to see what else could have come.";
}

// --- the conversation -----------------------------------------------------------------------------

function showChat() {
  page.empty.hidden = state.chat.turns.length > 0;
  page.log.replaceChildren(...state.chat.turns.flatMap(turnNodes));
  page.log.scrollTop = page.log.scrollHeight;
  showChats();
}

function turnNodes(turn, place) {
  const own = element(
    "div",
    { class: "turn own" },
    element("span", { class: "hidden" }, "You: "),
    element("p", { class: "text" }, turn.text),
  );
  const edit = element("button", { type: "button", onclick: () => editTurn(place) }, "Edit");
  const xray = element("a", { href: xrayOf(turn.text) }, "X-ray");
  own.append(element("div", { class: "actions" }, edit, xray));
  const answers = element("div", { class: "answers" }, ...turn.answers.map(answerNode));
  const theirs = element("div", { class: "turn" }, answers);
  if (place === state.chat.turns.length - 1) {
    const again = element("button", { type: "button", onclick: regenerate }, "Answer again");
    theirs.append(element("div", { class: "actions" }, again));
  }
  return [own, theirs];
}

// The page on which the models that are asked show what they do with a message. It stands behind a
// "#", so that it is not sent anywhere.
function xrayOf(text) {
  const stages = [...state.stages].join(",");
  return `xray/#${new URLSearchParams({ run: page.run.value, stages, chat: "1", text })}`;
}

function answerNode(answer) {
  const text = element("p", { class: "text" }, ...answer.pieces.flatMap(pieceNodes));
  const node = element("article", { class: "answer" }, element("h3", {}, answer.model), text);
  const facts = element("p", { class: "facts" });
  node.append(facts);
  answer.show = { text, facts };
  showFacts(answer);
  return node;
}

function showFacts(answer) {
  const { text, facts } = answer.show;
  text.classList.toggle("waiting", !answer.over);
  const words = [];
  if (answer.seconds) {
    const rate = Math.round(answer.tokens / answer.seconds);
    words.push(`${answer.tokens} ${answer.tokens === 1 ? "token" : "tokens"}, ${rate} a second`);
  }
  if (answer.over === "stop" && !plain(answer.pieces).trim()) words.unshift("said nothing");
  if (answer.over === "length") words.push("cut off at the longest length");
  if (answer.over === "stopped") words.push("stopped");
  facts.textContent = words.join("; ");
  if (answer.error) facts.replaceChildren(element("span", { class: "bad" }, answer.error));
}

// What a model hears: the turns with its own answers, or the first ones where it gave none.
function heardBy(model) {
  return state.chat.turns.flatMap((turn, place) => {
    const question = { role: "user", content: turn.text };
    if (place === state.chat.turns.length - 1) return [question];
    const own = turn.answers.find((answer) => answer.model === model) ?? turn.answers[0];
    const said = own ? plain(own.pieces).trim() : "";
    return said ? [question, { role: "assistant", content: said }] : [question];
  });
}

async function send(text) {
  if (state.stopping || !text.trim()) return;
  const models = chosenModels();
  if (!models.length) {
    await start();
    if (!chosenModels().length) return;
  }
  if (!state.chats.includes(state.chat)) state.chats.unshift(state.chat);
  const turn = { text: text.trim(), answers: [] };
  state.chat.turns.push(turn);
  await answer(turn);
}

async function answer(turn) {
  state.stopping = new AbortController();
  const models = chosenModels();
  turn.answers = models.map((model) => ({ model: model.id, pieces: [], tokens: 0, over: null }));
  showChat();
  busy(true);
  await Promise.all(turn.answers.map((one) => stream(one, state.stopping.signal)));
  state.stopping = null;
  busy(false);
  keep();
  showChat();
}

async function stream(answer, signal) {
  const { key, seed, ...settings } = state.settings;
  if (seed !== "") settings.seed = Number(seed);
  const started = performance.now();
  let waiting = [];
  try {
    for await (const step of ask(answer.model, heardBy(answer.model), settings, key, signal)) {
      waiting.push(...step.tokens);
      answer.tokens += step.tokens.length;
      answer.seconds = (performance.now() - started) / 1000;
      if (step.text) {
        const piece = { text: step.text, tokens: waiting };
        waiting = [];
        answer.pieces.push(piece);
        add(answer, piece);
      }
      if (step.reason) answer.over = step.reason;
      showFacts(answer);
    }
  } catch (error) {
    answer.over = "stopped";
    if (error.name !== "AbortError") answer.error = `This went wrong: ${error.message}.`;
  }
  answer.over ??= "stopped";
  showFacts(answer);
}

function add(answer, piece) {
  const log = page.log;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  answer.show.text.append(...pieceNodes(piece));
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function editTurn(place) {
  if (state.stopping) return;
  page.message.value = state.chat.turns[place].text;
  state.chat.turns.length = place;
  keep();
  showChat();
  grow();
  page.message.focus();
}

async function regenerate() {
  if (!state.stopping) await answer(state.chat.turns.at(-1));
}

function busy(is) {
  page.stop.hidden = !is;
  page.send.hidden = is;
  page.log.setAttribute("aria-busy", String(is));
  say(is ? "Answering. Escape stops it." : "");
}

function say(text) {
  page.status.textContent = text;
}

// --- conversations --------------------------------------------------------------------------------

function keep() {
  const bare = state.chats.map((chat) => ({
    ...chat,
    turns: chat.turns.map((turn) => ({
      ...turn,
      answers: turn.answers.map(({ show, ...rest }) => rest),
    })),
  }));
  saveChats(bare);
}

function showChats() {
  const items = state.chats.map((chat) => {
    const title = titleOf(chat);
    const open = element("button", { type: "button", class: "open" }, title);
    open.addEventListener("click", () => openChat(chat));
    open.setAttribute("aria-current", String(chat === state.chat));
    const remove = element("button", { type: "button", "aria-label": `Delete ${title}` }, "×");
    remove.addEventListener("click", () => removeChat(chat));
    return element("li", {}, open, remove);
  });
  page.chats.replaceChildren(...items);
}

function openChat(chat) {
  state.stopping?.abort();
  state.chat = chat;
  closeMenu();
  showChat();
  page.message.focus();
}

function removeChat(chat) {
  state.chats = state.chats.filter((other) => other !== chat);
  keep();
  if (chat === state.chat) openChat(newChat());
  else showChats();
}

function closeMenu() {
  page.side.classList.remove("open");
  page.menu.setAttribute("aria-expanded", "false");
}

// --- settings -------------------------------------------------------------------------------------

function showSettings() {
  for (const name of Object.keys(DEFAULTS)) {
    page[name].value = state.settings[name];
    const shown = page[`${name}-value`];
    if (shown) shown.textContent = state.settings[name];
  }
}

function changeSetting(name) {
  const input = page[name];
  if (!input.checkValidity()) return;
  const isNumber = input.type === "range" || (input.type === "number" && input.value !== "");
  const value = isNumber ? Number(input.value) : input.value;
  state.settings[name] = value === "" && name !== "seed" && name !== "key" ? DEFAULTS[name] : value;
  const shown = page[`${name}-value`];
  if (shown) shown.textContent = input.value;
  saveSettings(state.settings);
}

// --- the tip over a token -------------------------------------------------------------------------

function showTip(node) {
  page.tip.replaceChildren(...tipContent(node.tokens));
  page.tip.hidden = false;
  const box = node.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - page.tip.offsetWidth - 8);
  const below = box.bottom + 6;
  const fits = below + page.tip.offsetHeight < innerHeight;
  page.tip.style.left = `${Math.max(8, left)}px`;
  page.tip.style.top = `${fits ? below : box.top - page.tip.offsetHeight - 6}px`;
}

page.log.addEventListener("pointerover", (event) => {
  if (event.target.tokens) showTip(event.target);
  else page.tip.hidden = true;
});
page.log.addEventListener("pointerleave", () => (page.tip.hidden = true));
page.log.addEventListener("scroll", () => (page.tip.hidden = true));

// --- events ---------------------------------------------------------------------------------------

function grow() {
  page.message.style.height = "auto";
  page.message.style.height = `${page.message.scrollHeight}px`;
}

page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = page.message.value;
  if (state.stopping || !text.trim()) return;
  page.message.value = "";
  grow();
  send(text);
});
page.message.addEventListener("input", grow);
page.message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    page.form.requestSubmit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    state.stopping?.abort();
    closeMenu();
    page.tip.hidden = true;
  }
});
page.stop.addEventListener("click", () => state.stopping?.abort());
page.new.addEventListener("click", () => openChat(newChat()));
page.run.addEventListener("change", showStages);
page.menu.addEventListener("click", () => {
  const open = page.side.classList.toggle("open");
  page.menu.setAttribute("aria-expanded", String(open));
});
page.defaults.addEventListener("click", () => {
  state.settings = { ...DEFAULTS, key: state.settings.key };
  saveSettings(state.settings);
  showSettings();
});
for (const name of Object.keys(DEFAULTS)) {
  page[name].addEventListener("input", () => changeSetting(name));
  page[name].addEventListener("change", () => name === "key" && start());
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
await start();
