// Training as it goes on: asks the server every two seconds and draws what it says.

import { getRun, listRuns } from "./api.js";
import { chart } from "./chart.js";
import { loadSettings } from "./store.js";
import { element } from "./view.js";

const EVERY = 2000; // milliseconds
const STAGES = ["base", "mid", "sft"];
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const { key } = loadSettings();

async function start() {
  const names = await listRuns(key);
  page.run.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  const asked = new URLSearchParams(location.search).get("run");
  if (names.includes(asked)) page.run.value = asked;
  page.run.addEventListener("change", look);
  if (!names.length) say("No run has been started yet: firstwords train");
}

async function look() {
  if (!page.run.value || document.hidden) return;
  try {
    show(await getRun(page.run.value, key));
  } catch (error) {
    say(`The server does not answer: ${error.message}`);
  }
}

function show(run) {
  const now = run.phases.find((phase) => !phase.done);
  say(now ? sentence(run, now) : "This run is finished.");
  page.phases.replaceChildren(...run.phases.map((phase) => phaseNode(run, phase, phase === now)));
  page.loss.replaceChildren(chart(lines(run, "loss"), { log: true, label: "Loss" }));
  page.lr.replaceChildren(chart(lines(run, "lr"), { label: "Learning rate" }));
  page.bits.replaceChildren(chart(bitsLines(run), { log: true, dots: true, label: "Bits per byte" }));
  if (run.samples) showSamples(run.samples);
}

function sentence(run, now) {
  const stage = run.stage;
  if (!stage || stage.name !== now.name) return `${now.title} is at work.`;
  const still = Date.now() / 1000 - stage.written > 60;
  const rate = Math.round(stage.tokens_per_second).toLocaleString("en");
  return (
    `${now.title}: step ${stage.step.toLocaleString("en")} of ` +
    `${stage.steps.toLocaleString("en")}, loss ${stage.loss.toFixed(3)}, ` +
    (still ? "at rest; the same command continues." : `${rate} tokens/s, ${left(stage)} left.`)
  );
}

function left(stage) {
  const seconds = Math.round(stage.seconds_left);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function phaseNode(run, phase, isNow) {
  const kind = phase.done ? "done" : isNow ? "now" : "";
  const state = phase.done ? "done" : isNow ? "at work" : "to come";
  const node = element("li", { class: kind }, phase.title, element("br"), state);
  if (isNow && run.stage?.name === phase.name) {
    const bar = element("progress", { max: run.stage.steps, "aria-label": phase.title });
    bar.value = run.stage.step;
    node.append(bar);
  }
  return node;
}

function lines(run, figure) {
  return STAGES.map((stage) => ({
    name: stage,
    points: run.curves[stage][figure].map(([x, y]) => ({ x, y })),
  }));
}

function bitsLines(run) {
  return STAGES.map((name) => ({
    name,
    points: run.bits_per_byte
      .filter((bits) => bits.stage === name)
      .map((bits) => ({ x: bits.millions, y: bits.score, low: bits.ci95[0], high: bits.ci95[1] })),
  }));
}

function showSamples(album) {
  page.age.textContent = `After step ${album.step.toLocaleString("en")} of ${album.stage}.`;
  page.samples.replaceChildren(
    ...album.samples.flatMap((sample) => [
      element("dt", {}, sample.prompt),
      element("dd", {}, sample.answer || "(nothing)"),
    ]),
  );
}

function say(text) {
  if (page.status.textContent !== text) page.status.textContent = text;
}

await start().catch((error) => say(`The server does not answer: ${error.message}`));
await look();
setInterval(look, EVERY);
