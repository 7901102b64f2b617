// The page at /xray: its form, and requests to the server. render.js shows the result.

import { countXrayTokens, inspectText, listModels } from "../shared/api.js";
import { fromParameter, toParameter } from "../shared/conversation.js";
import { element } from "../shared/dom.js";
import { loadSettings } from "../shared/storage.js";
import { renderXray, subjectOf } from "./render.js";
import { formatCount } from "./state.js";

const STAGES = ["pretrain", "midtrain", "sft", "rl"];
const COUNT_AFTER = 200; // milliseconds without a change of the text
const EXAMPLES = [
  { text: "The old fox saw the hen. The old fox saw the", chat: false },
  { text: "Once upon a time there was a", chat: false },
  { text: "What is the capital of Japan?", chat: true },
  { text: "What is 12 plus 30?", chat: true },
];
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const settings = loadSettings(); // those of the chat, with its API key
const state = {
  models: [],
  messages: null, // of a conversation that is inspected instead of the text
  token: null, // to select first: its number in the text or in the last message
  shown: null, // the document on display
  controller: null, // aborts the previous request
  counter: null, // aborts the previous count
};

// --- the address ----------------------------------------------------------------------------------

// Fills in the form before the list of models arrives, since the user may type meanwhile.
async function start() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const text = parameters.get("text") ?? "";
  page.text.value = text;
  page.chat.checked = parameters.get("chat") === "1";
  state.token = tokenOf(parameters.get("token"));
  showConversation(messagesOf(parameters.get("conversation")));
  await refreshModels();
  const run = parameters.get("run");
  if (state.models.some((model) => model.run === run)) page.run.value = run;
  showStages(parameters.get("stages")?.split(",") ?? []);
  if (!state.models.length) return;
  if (state.messages || (text && page.text.value === text)) await inspect();
  else await showCount();
}

function tokenOf(parameter) {
  return /^\d{1,5}$/.test(parameter) ? Number(parameter) : null;
}

function messagesOf(parameter) {
  if (!parameter) return null;
  const messages = fromParameter(parameter);
  if (!messages) showStatus("The address holds a conversation that cannot be read.", true);
  return messages;
}

// Behind a "#", so that browsers do not send it to the server.
function storeInUrl({ run, stages, text, messages, chat, token }) {
  const subject = messages
    ? { conversation: toParameter(messages) }
    : { chat: chat ? "1" : "0", text };
  const selected = token === null ? {} : { token };
  const parameters = new URLSearchParams({ run, stages: stages.join(","), ...selected, ...subject });
  history.replaceState(null, "", `#${parameters}`);
}

// --- the form -------------------------------------------------------------------------------------

// Lists the models again, since a run in training gets newer checkpoints and stages.
async function refreshModels() {
  const selected = page.run.value;
  try {
    state.models = await listModels(settings.key);
  } catch (error) {
    const hint = error.status === 401 ? " Enter the key in the settings of the chat." : "";
    showStatus(`Cannot list the models: ${error.message}.${hint}`, true);
    return;
  }
  const runs = [...new Set(state.models.map((model) => model.run))];
  page.run.replaceChildren(...runs.map((name) => element("option", { value: name }, name)));
  if (runs.includes(selected)) page.run.value = selected;
}

// Shows a checkbox for each stage of the run, with those of `selected` checked, or else the latest.
function showStages(selected) {
  const focused = document.activeElement?.id;
  const stepOf = new Map(
    state.models.filter(({ run }) => run === page.run.value).map(({ stage, step }) => [stage, step]),
  );
  const available = STAGES.filter((stage) => stepOf.has(stage));
  const checked = selected.filter((stage) => available.includes(stage));
  if (!checked.length) checked.push(available.at(-1));
  const boxes = available.map((stage) => {
    const box = element("input", { type: "checkbox", id: `stage-${stage}`, value: stage });
    box.checked = checked.includes(stage);
    const label = `${stage} (step ${formatCount(stepOf.get(stage))})`;
    return element("span", {}, box, " ", element("label", { for: box.id }, label));
  });
  page.stages.replaceChildren(element("legend", {}, "Stages"), ...boxes);
  boxes.find((box) => box.firstChild.id === focused)?.firstChild.focus();
}

function selectedStages() {
  return [...page.stages.querySelectorAll("input:checked")].map((box) => box.value);
}

function showConversation(messages) {
  state.messages = messages;
  const isAnswered = messages?.at(-1).role === "assistant";
  page.own.hidden = page["as-message"].hidden = messages !== null;
  page.conversation.hidden = messages === null;
  page.continue.hidden = isAnswered; // the answer is inspected as it stands
  const items = (messages ?? []).map(({ role, content }) =>
    element("li", {}, element("strong", {}, `${role}: `), content),
  );
  page.messages.replaceChildren(...items);
}

// The tokens of the text, in proportion to what the model can read.
async function showCount() {
  state.counter?.abort();
  const counter = (state.counter = new AbortController());
  await new Promise((resolve) => setTimeout(resolve, COUNT_AFTER));
  if (counter.signal.aborted || !state.models.length || state.messages) return;
  const request = { run: page.run.value, text: page.text.value, chat: page.chat.checked };
  try {
    const { tokens, context } = await countXrayTokens(request, settings.key, counter.signal);
    const excess = tokens - context;
    page.count.textContent =
      `${formatCount(tokens)} of at most ${formatCount(context)} tokens` +
      (excess > 0 ? `; the text is ${formatCount(excess)} too long` : "");
    page.count.classList.toggle("error", excess > 0);
  } catch {
    if (!counter.signal.aborted) page.count.textContent = "";
  }
}

// --- the request ----------------------------------------------------------------------------------

// The form may be submitted before the list of models has arrived.
async function submit() {
  await started;
  if (!state.models.length) {
    await refreshModels();
    showStages([]);
  }
  if (state.models.length) await inspect();
}

async function inspect() {
  const stages = selectedStages();
  if (!state.messages && !page.text.value.trim()) return fail("Enter a text.");
  if (!stages.length) return fail("Select at least one stage.");
  const request = requestOf(stages);
  storeInUrl({ text: page.text.value, messages: null, token: null, ...request });
  state.controller?.abort();
  const current = (state.controller = new AbortController());
  showStatus("Running the model.");
  page.xray.setAttribute("aria-busy", "true");
  try {
    const xray = await inspectText(request, settings.key, current.signal);
    page.empty.hidden = true;
    page.xray.classList.remove("stale");
    renderXray(xray, page.xray);
    state.shown = xray;
    page.xray.removeAttribute("aria-busy");
    showStatus("");
    await refreshModels();
    showStages(selectedStages());
    await showCount();
  } catch (error) {
    if (!current.signal.aborted) fail(`Error: ${error.message}.`);
  }
}

function requestOf(stages) {
  const subject = state.messages
    ? { messages: state.messages }
    : { text: page.text.value, chat: page.chat.checked };
  const generates = !page.continue.hidden && page.generate.checkValidity();
  return {
    run: page.run.value,
    stages,
    ...subject,
    ...(state.token === null ? {} : { token: state.token }),
    generate: generates ? Number(page.generate.value) : 0,
    temperature: settings.temperature,
    top_k: settings.top_k,
    top_p: settings.top_p,
  };
}

// Says what went wrong, and that what is still shown is something else.
function fail(message) {
  page.xray.removeAttribute("aria-busy");
  showStatus(message, true);
  if (!state.shown || page.xray.classList.contains("stale")) return;
  page.xray.classList.add("stale");
  const note = `Below is still the earlier X-ray of “${subjectOf(state.shown)}”.`;
  page.xray.prepend(element("p", { class: "stale-note" }, note));
}

function showStatus(text, isError = false) {
  page.status.textContent = text;
  page.status.classList.toggle("error", isError);
}

// --- events ---------------------------------------------------------------------------------------

page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
page.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    page.form.requestSubmit();
  }
});
page.text.addEventListener("input", () => {
  state.token = null;
  showCount();
});
page.chat.addEventListener("change", showCount);
page.run.addEventListener("change", () => {
  showStages(selectedStages());
  showCount();
});
page.leave.addEventListener("click", () => {
  state.token = null;
  showConversation(null);
  page.text.focus();
  showCount();
});
window.addEventListener("hashchange", () => {
  if (location.hash.includes("=")) start(); // not the link that skips to the text box
});
page.examples.append(
  ...EXAMPLES.map(({ text, chat }) => {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      state.token = null;
      page.text.value = text;
      page.chat.checked = chat;
      page.go.focus(); // the examples vanish
      submit();
    });
    return element("li", {}, button);
  }),
);

const started = start();
