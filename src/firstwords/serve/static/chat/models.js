// The models of the server, and which of them answer: a run and some of its stages.

import { listModels } from "../shared/api.js";
import { element } from "../shared/dom.js";

const STAGES = ["pretrain", "midtrain", "sft", "rl"];
const ABOUT_STAGE = {
  pretrain: "continues your text",
  midtrain: "trained on conversations too",
  sft: "trained to answer",
  rl: "trained on its own answers",
  given: "part of the question", // of the exam; no model wrote it
};

export function aboutStage(stage) {
  return ABOUT_STAGE[stage] ?? "";
}

// The models that the server offers, in the order of training.
export class Models {
  constructor() {
    this.all = [];
    this.newestRun = "";
  }

  async refresh(key) {
    const models = await listModels(key);
    this.all = models.sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage));
    this.newestRun = newestOf(models)?.run ?? "";
  }

  get runs() {
    const newestFirst = [...this.all].sort((a, b) => b.created - a.created);
    return [...new Set(newestFirst.map((model) => model.run))];
  }

  ofRun(run) {
    return this.all.filter((model) => model.run === run);
  }

  byId(id) {
    return this.all.find((model) => model.id === id);
  }

  selected({ run, stages }) {
    return this.ofRun(run).filter((model) => stages.includes(model.stage));
  }

  // What a new conversation uses: the last choice where it exists, else the newest run's last
  // stage.
  initialChoice({ run, stages }) {
    const chosen = this.runs.includes(run) ? run : this.newestRun;
    return { run: chosen, stages: this.existingStages(chosen, stages) };
  }

  existingStages(run, stages) {
    const available = this.ofRun(run).map((model) => model.stage);
    const existing = stages.filter((stage) => available.includes(stage));
    return existing.length ? existing : available.slice(-1);
  }
}

function newestOf(models) {
  return models.reduce((a, b) => (!a || b.created > a.created ? b : a), null);
}

// The selector of a run, and a checkbox for each of its stages. `onChoose({run, stages})` is called
// when the user changes them.
export class ModelPicker {
  constructor(page, models, onChoose) {
    Object.assign(this, { page, models, onChoose });
    page.run.addEventListener("change", () => this.chooseRun());
  }

  show(choice) {
    this.choice = choice;
    const { page, models } = this;
    const { runs } = models;
    const options = runs.map((run) => element("option", { value: run }, run));
    if (choice.run && !runs.includes(choice.run))
      options.push(element("option", { value: choice.run }, `${choice.run} (not on this server)`));
    page.run.replaceChildren(...options);
    page.run.value = choice.run;
    const boxes = models.ofRun(choice.run).map((model) => this.checkbox(model));
    page.stages.replaceChildren(element("legend", {}, "Stages"), ...boxes);
  }

  checkbox({ stage, step }) {
    const id = `stage-${stage}`;
    const box = element("input", { type: "checkbox", id, value: stage, "data-focus": id });
    box.checked = this.choice.stages.includes(stage);
    box.addEventListener("change", () => this.chooseStages());
    const title = `${aboutStage(stage)} (step ${step.toLocaleString("en")})`;
    return element("span", { title }, box, " ", element("label", { for: id }, stage));
  }

  chooseRun() {
    const run = this.page.run.value;
    this.onChoose({ run, stages: this.models.existingStages(run, this.choice.stages) });
  }

  chooseStages() {
    const boxes = [...this.page.stages.querySelectorAll("input:checked")];
    const stages = boxes.map((box) => box.value);
    this.onChoose({ ...this.choice, stages: stages.length ? stages : this.choice.stages });
  }
}

// The name under which the models answer, if they have a personality; a run has one for all stages.
export function nameOf(models) {
  return models.find(({ personality }) => personality)?.personality ?? null;
}

export function describeModels(models) {
  const [model] = models;
  if (!model) return "";
  const facts = [`Run ${model.run}`];
  if (model.parameters) facts.push(`${compact(model.parameters)} parameters`);
  if (model.max_model_len) facts.push(`context of ${model.max_model_len} tokens`);
  const date = new Date(1000 * model.created);
  facts.push(`trained on ${date.toLocaleDateString("en", { dateStyle: "long" })}`);
  const stages = models.map(({ stage }) => `${stage}: ${aboutStage(stage)}`);
  return `${facts.join(", ")}. ${stages.join("; ")}.`;
}

function compact(number) {
  return number.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
}
