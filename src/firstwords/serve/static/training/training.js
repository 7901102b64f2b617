// Training progress: asks the server for the run's state every two seconds and draws it.

import { getRun, listRuns } from "../shared/api.js";
import { ChartView, lineChart, viewControls } from "../shared/chart.js";
import { element } from "../shared/dom.js";
import { loadSettings } from "../shared/storage.js";

const REFRESH_MILLISECONDS = 2000;
const STOPPED_AFTER_SECONDS = 60; // without a new step
const STAGES = ["pretrain", "midtrain", "sft"];
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const { key } = loadSettings();
const view = new ChartView({ axes: [{ key: "x", title: "Million tokens", unit: "plain" }] });
const charts = {
  loss: lineChart(page.loss, { view, label: "Training loss" }),
  bits: lineChart(page.bits, { view, label: "Bits per byte" }),
  lr: lineChart(page.lr, { view, label: "Learning rate", log: false }),
};
page.phases.after(viewControls(view));

async function start() {
  const names = await listRuns(key);
  page.run.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  const requested = new URLSearchParams(location.search).get("run");
  if (names.includes(requested)) page.run.value = requested;
  page.run.addEventListener("change", refresh);
  if (!names.length) showStatus("No runs yet. To start one, run: firstwords train");
}

async function refresh() {
  if (!page.run.value || document.hidden) return;
  try {
    showRun(await getRun(page.run.value, key));
  } catch (error) {
    showError(error);
  }
}

function showRun(run) {
  const current = run.phases.find((phase) => !phase.done);
  showStatus(current ? describePhase(run, current) : "This run is finished.");
  page.phases.replaceChildren(
    ...run.phases.map((phase) => phaseNode(run, phase, phase === current)),
  );
  charts.loss.update({ series: curveSeries(run, "loss") });
  charts.lr.update({ series: curveSeries(run, "lr") });
  charts.bits.update({ series: bitsPerByteSeries(run) });
  if (run.samples) showSamples(run.samples);
}

function describePhase(run, phase) {
  const stage = run.stage;
  if (!stage || stage.name !== phase.name) return `${phase.title} is running.`;
  const stopped = stage.idle_seconds > STOPPED_AFTER_SECONDS;
  const speed = `${formatCount(Math.round(stage.tokens_per_second))} tokens/s`;
  return (
    `${phase.title}: step ${formatCount(stage.step)} of ${formatCount(stage.steps)}, ` +
    `loss ${stage.loss.toFixed(3)}, ` +
    (stopped
      ? "no new step for a minute. If training stopped, run the same command again to resume."
      : `${speed}, ${formatDuration(stage.seconds_left)} left.`)
  );
}

function formatCount(number) {
  return number.toLocaleString("en");
}

function formatDuration(seconds) {
  const rounded = Math.round(seconds);
  return `${Math.floor(rounded / 60)}:${String(rounded % 60).padStart(2, "0")}`;
}

function phaseNode(run, phase, isCurrent) {
  const kind = phase.done ? "done" : isCurrent ? "current" : "";
  const state = phase.done ? "done" : isCurrent ? "running" : "not started";
  const node = element("li", { class: kind }, phase.title, element("br"), state);
  if (isCurrent && run.stage?.name === phase.name) {
    const bar = element("progress", { max: run.stage.steps, "aria-label": phase.title });
    bar.value = run.stage.step;
    node.append(bar);
  }
  return node;
}

function curveSeries(run, metric) {
  return STAGES.map((stage) => ({
    name: stage,
    points: run.curves[stage][metric].map(([x, y]) => ({ x, y })),
  }));
}

function bitsPerByteSeries(run) {
  return STAGES.map((stage) => ({
    name: stage,
    markers: true,
    points: run.bits_per_byte
      .filter((bits) => bits.stage === stage)
      .map(({ million_tokens: x, score: y, ci95: [low, high] }) => ({ x, y, low, high })),
  }));
}

function showSamples({ step, stage, samples }) {
  page["samples-step"].textContent = `After step ${formatCount(step)} of ${stage}.`;
  page.samples.replaceChildren(
    ...samples.flatMap(({ prompt, answer }) => [
      element("dt", {}, prompt),
      element("dd", {}, answer || "(empty)"),
    ]),
  );
}

function showStatus(text) {
  // Only changes are written, so that screen readers do not repeat the status every two seconds.
  if (page.status.textContent !== text) page.status.textContent = text;
}

function showError(error) {
  showStatus(`Cannot reach the server: ${error.message}`);
}

await start().catch(showError);
await refresh();
setInterval(refresh, REFRESH_MILLISECONDS);
