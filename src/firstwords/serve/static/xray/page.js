// The page at /xray: what to look at, asked of the server. `show.js` does the rest.

import { listModels, lookAt } from "../api.js";
import { loadSettings } from "../store.js";
import { element } from "../view.js";
import { count } from "./look.js";
import { show } from "./show.js";

const STAGES = ["base", "mid", "sft"];
const EXAMPLES = [
  { text: "The old fox saw the hen. The old fox saw the", chat: false },
  { text: "Once upon a time there was a", chat: false },
  { text: "What is the capital of Japan?", chat: true },
  { text: "What is 12 plus 30?", chat: true },
];
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const settings = loadSettings(); // of the chat; its key too
let models = [];
let asking = null; // aborts what was asked before

async function start() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  await listed();
  if (models.some((model) => model.run === wanted.get("run"))) page.run.value = wanted.get("run");
  showStages(wanted.get("stages")?.split(",") ?? []);
  page.text.value = wanted.get("text") ?? "";
  page.chat.checked = wanted.get("chat") === "1";
  if (page.text.value && models.length) await look();
}

// Whoever is quick waits until it is known what there is.
async function go() {
  await started;
  if (!models.length) {
    await listed();
    showStages([]);
  }
  if (models.length) await look();
}

// The runs and stages that there are now: one that trains gets more.
async function listed() {
  const run = page.run.value;
  try {
    models = await listModels(settings.key);
  } catch (error) {
    const mend = error.status === 401 ? " Give it in the settings of the chat." : "";
    say(`The server does not answer: ${error.message}.${mend}`, true);
    return;
  }
  const runs = [...new Set(models.map((model) => model.run))];
  page.run.replaceChildren(...runs.map((name) => element("option", { value: name }, name)));
  if (runs.includes(run)) page.run.value = run;
}

function showStages(wanted) {
  const own = models.filter((model) => model.run === page.run.value);
  const found = STAGES.filter((stage) => own.some((model) => model.stage === stage));
  const ticked = wanted.filter((stage) => found.includes(stage));
  const boxes = found.map((stage) => {
    const box = element("input", { type: "checkbox", id: `stage-${stage}`, value: stage });
    box.checked = ticked.length ? ticked.includes(stage) : stage === found.at(-1);
    const { step } = own.find((model) => model.stage === stage);
    const words = `${stage} (step ${count(step)})`;
    return element("span", {}, box, " ", element("label", { for: box.id }, words));
  });
  page.stages.replaceChildren(element("legend", {}, "Stages"), ...boxes);
}

function tickedStages() {
  return [...page.stages.querySelectorAll("input:checked")].map((box) => box.value);
}

async function look() {
  const stages = tickedStages();
  if (!page.text.value.trim()) return say("Write a text to look at.", true);
  if (!stages.length) return say("Tick a stage at least.", true);
  const asked = {
    run: page.run.value,
    stages,
    text: page.text.value,
    chat: page.chat.checked,
    generate: page.generate.checkValidity() ? Number(page.generate.value) : 0,
    temperature: settings.temperature,
    top_k: settings.top_k,
    top_p: settings.top_p,
  };
  keepInAddress(asked);
  asking?.abort();
  const mine = (asking = new AbortController());
  say("Looking.");
  try {
    const seen = await lookAt(asked, settings.key, mine.signal);
    page.empty.hidden = true;
    show(seen, page.xray);
    say("");
    await listed();
    showStages(stages);
  } catch (error) {
    if (!mine.signal.aborted) say(`This went wrong: ${error.message}.`, true);
  }
}

function keepInAddress({ run, stages, text, chat }) {
  const words = new URLSearchParams({
    run,
    stages: stages.join(","),
    chat: chat ? "1" : "0",
    text,
  });
  history.replaceState(null, "", `#${words}`);
}

function say(text, bad = false) {
  page.status.textContent = text;
  page.status.classList.toggle("bad", bad);
}

page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  go();
});
page.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    page.form.requestSubmit();
  }
});
page.run.addEventListener("change", () => showStages(tickedStages()));
page.examples.append(
  ...EXAMPLES.map(({ text, chat }) => {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      page.text.value = text;
      page.chat.checked = chat;
      go();
    });
    return element("li", {}, button);
  }),
);

const started = start();
