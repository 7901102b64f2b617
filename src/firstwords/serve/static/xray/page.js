// The page at /xray: its form, and requests to the server. render.js shows the result.

import { inspectText, listModels } from "../shared/api.js";
import { element } from "../shared/dom.js";
import { loadSettings } from "../shared/storage.js";
import { renderXray } from "./render.js";
import { formatCount } from "./state.js";

const STAGES = ["pretrain", "midtrain", "sft"];
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
let models = [];
let controller = null; // aborts the previous request

// Fills in the form before the list of models arrives, since the user may type meanwhile.
async function start() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const text = parameters.get("text") ?? "";
  page.text.value = text;
  page.chat.checked = parameters.get("chat") === "1";
  await refreshModels();
  const run = parameters.get("run");
  if (models.some((model) => model.run === run)) page.run.value = run;
  showStages(parameters.get("stages")?.split(",") ?? []);
  if (text && page.text.value === text && models.length) await inspect();
}

// The form may be submitted before the list of models has arrived.
async function submit() {
  await started;
  if (!models.length) {
    await refreshModels();
    showStages([]);
  }
  if (models.length) await inspect();
}

// Lists the models again, since a run in training gets newer checkpoints and stages.
async function refreshModels() {
  const selected = page.run.value;
  try {
    models = await listModels(settings.key);
  } catch (error) {
    const hint = error.status === 401 ? " Enter the key in the settings of the chat." : "";
    showStatus(`Cannot reach the server: ${error.message}.${hint}`, true);
    return;
  }
  const runs = [...new Set(models.map((model) => model.run))];
  page.run.replaceChildren(...runs.map((name) => element("option", { value: name }, name)));
  if (runs.includes(selected)) page.run.value = selected;
}

// Shows a checkbox for each stage of the run, with those of `selected` checked, or else the latest.
function showStages(selected) {
  const stepOf = new Map(
    models.filter(({ run }) => run === page.run.value).map(({ stage, step }) => [stage, step]),
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
}

function selectedStages() {
  return [...page.stages.querySelectorAll("input:checked")].map((box) => box.value);
}

async function inspect() {
  const stages = selectedStages();
  if (!page.text.value.trim()) return showStatus("Enter a text.", true);
  if (!stages.length) return showStatus("Select at least one stage.", true);
  const request = {
    run: page.run.value,
    stages,
    text: page.text.value,
    chat: page.chat.checked,
    generate: page.generate.checkValidity() ? Number(page.generate.value) : 0,
    temperature: settings.temperature,
    top_k: settings.top_k,
    top_p: settings.top_p,
  };
  storeInUrl(request);
  controller?.abort();
  const current = (controller = new AbortController());
  showStatus("Running the model.");
  try {
    const xray = await inspectText(request, settings.key, current.signal);
    page.empty.hidden = true;
    renderXray(xray, page.xray);
    showStatus("");
    await refreshModels();
    showStages(selectedStages());
  } catch (error) {
    if (!current.signal.aborted) showStatus(`Error: ${error.message}.`, true);
  }
}

// Behind a "#", so that browsers do not send it to the server.
function storeInUrl({ run, stages, text, chat }) {
  const parameters = new URLSearchParams({
    run,
    stages: stages.join(","),
    chat: chat ? "1" : "0",
    text,
  });
  history.replaceState(null, "", `#${parameters}`);
}

function showStatus(text, isError = false) {
  page.status.textContent = text;
  page.status.classList.toggle("error", isError);
}

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
page.run.addEventListener("change", () => showStages(selectedStages()));
page.examples.append(
  ...EXAMPLES.map(({ text, chat }) => {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      page.text.value = text;
      page.chat.checked = chat;
      submit();
    });
    return element("li", {}, button);
  }),
);

const started = start();
