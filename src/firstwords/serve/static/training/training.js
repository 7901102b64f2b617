// The training page: watches the run that is selected in the bar, by default the newest one.

import { getSamples, listRuns } from "../shared/api.js";
import { ChartView, lineChart, viewControls } from "../shared/chart.js";
import { loadSettings } from "../shared/storage.js";
import { Comparison } from "./comparison.js";
import { DoneNotice, titleOf } from "./notice.js";
import {
  describeNumbers,
  describeState,
  fractionDone,
  percent,
  phaseNodes,
  resultNodes,
} from "./overview.js";
import { RewardCharts } from "./rewards.js";
import { RunFeed } from "./run_feed.js";
import { SampleSlider } from "./samples.js";

const RUNNING_MILLISECONDS = 2000; // between two looks at a run in training
const WAITING_MILLISECONDS = 5000; // at other runs, or for a run
const page = Object.fromEntries(
  [...document.querySelectorAll("main [id]")].map((node) => [node.id, node]),
);
const bar = document.querySelector("app-bar");
const axes = [
  { key: "tokens", title: "Tokens", unit: "count" },
  { key: "steps", title: "Steps", unit: "count" },
  { key: "seconds", title: "Training time", unit: "time" },
];
const view = new ChartView({ axes });
const charts = {
  loss: lineChart(page.loss, { view, label: "Training loss" }),
  bits: lineChart(page.bits, { view, label: "Bits per byte" }),
  rate: lineChart(page.rate, { view, label: "Learning rate", log: false, height: 180 }),
};
const rewards = new RewardCharts({
  section: page.rewards,
  controls: page["reward-controls"],
  places: page,
});
const samples = new SampleSlider({
  slider: page["samples-slider"],
  position: page["samples-position"],
  list: page.samples,
  earlier: page["samples-earlier"],
  later: page["samples-later"],
});
const notice = new DoneNotice(page.notify);
const comparison = new Comparison({
  details: page.compare,
  list: page["compare-list"],
  onChange: () => look(),
});
let feed = null; // of the run on the page
let timer = 0;
let looking = null;

// One look at a time: a second one waits for the first.
function look() {
  clearTimeout(timer);
  looking = (looking ?? Promise.resolve()).then(lookOnce).then(() => {
    clearTimeout(timer);
    const isRunning = feed?.progress?.state === "running";
    timer = setTimeout(look, isRunning ? RUNNING_MILLISECONDS : WAITING_MILLISECONDS);
  });
}

async function lookOnce() {
  const { key } = loadSettings(); // again each time: the key may be entered in another tab
  try {
    if (feed?.progress?.state !== "running") await bar.refresh(); // is there a newer run?
    selectFeed(bar.run);
    if (!feed) showNoRun(await listRuns(key));
    else await refreshFeed(feed, key);
    showProblem("");
  } catch (error) {
    showProblem(describeError(error));
  }
}

function selectFeed(name) {
  if (name === (feed?.name ?? null)) return;
  feed = name ? new RunFeed(name) : null;
  view.set({ zoom: null, cursor: null });
  rewards.reset();
  samples.clear();
}

async function refreshFeed(current, key) {
  const before = current.progress?.state;
  await current.refresh(key);
  await comparison.refresh(key);
  const hasNewSamples = current.progress.n_samples !== samples.count;
  if (hasNewSamples) samples.show(await getSamples(current.name, key));
  if (before === "running" && current.isFinished) notice.send(current.progress);
  showRun(current);
}

function showRun({ name, progress }) {
  const fraction = fractionDone(progress);
  page.run.hidden = false;
  page["run-title"].textContent = `Run ${name}`;
  document.title = titleOf(progress);
  showStatus(describeState(progress));
  page.numbers.textContent = describeNumbers(progress);
  page.resume.hidden = progress.state !== "stopped";
  page.command.textContent = `firstwords train --run ${name}`;
  page.overall.hidden = fraction === null || fraction === 1;
  page["overall-bar"].value = fraction ?? 0;
  page["overall-text"].textContent = percent(fraction ?? 0);
  notice.offer(progress.state === "running");
  showNewer(name);
  page.phases.replaceChildren(...phaseNodes(progress));
  showResult(progress);
  comparison.show(bar.runs.map((run) => run.name).filter((other) => other !== name));
  if (!document.hidden) drawCharts();
}

function showNewer(name) {
  const newest = bar.runs[0]?.name ?? name;
  page.newer.hidden = newest === name;
  page["newer-name"].textContent = newest;
}

// Drawn once, so that its links keep the focus.
function showResult(run) {
  const isFinished = run.state === "finished";
  const shown = page.result.dataset.run === run.run && !page.result.hidden;
  page.result.hidden = !isFinished;
  if (isFinished && !shown) page["result-content"].replaceChildren(...resultNodes(run));
  page.result.dataset.run = run.run;
}

function drawCharts() {
  const feeds = [feed, ...comparison.loaded];
  const { stages } = feed;
  for (const axis of axes) axis.max = stages.at(-1).to[axis.key];
  const series = (pointsOf) =>
    feeds.map((other) => ({ name: other.name, points: pointsOf(other) }));
  const forecast = feed.forecastPoint();
  const planned = { name: "forecast", markers: true, points: [forecast], style: 3 };
  const bits = series((other) => other.bitsPoints()).map((line) => ({ ...line, markers: true }));
  charts.loss.update({ bands: stages, series: series((other) => other.lossPoints()) });
  charts.bits.update({ bands: stages, series: forecast ? [...bits, planned] : bits });
  charts.rate.update({ bands: stages, series: series((other) => other.learningRatePoints()) });
  rewards.update(feeds);
}

function showNoRun() {
  page.run.hidden = true;
  page["run-title"].textContent = "Training";
  document.title = titleOf(null);
  showStatus("No run yet. To start one, run: firstwords train. It will be shown here.");
}

function describeError(error) {
  if (error.status === 401)
    return (
      "This server needs an API key. Enter it in the settings of the chat page; " +
      "this page then continues."
    );
  if (error.status === undefined)
    return "The server does not answer. Is firstwords serve still running? Trying again.";
  return `The server reports a problem: ${error.message}.`;
}

// Only changes are written, so that screen readers do not repeat them.
function showStatus(text) {
  if (page.status.textContent !== text) page.status.textContent = text;
}

function showProblem(text) {
  if (page.problem.textContent !== text) page.problem.textContent = text;
}

page["newer-show"].addEventListener("click", () => {
  bar.selectRun(null);
  page["run-title"].focus();
});
page.controls.append(viewControls(view, { fileName: "training.csv", label: "All charts" }));
await bar.ready;
bar.addEventListener("runchange", look);
document.addEventListener("visibilitychange", () => document.hidden || look());
look();
