// The charts of reinforcement learning: what the model's own answers were worth, how long they
// were, how many groups taught something, and how far the model moved.

import { ChartView, lineChart, viewControls } from "../shared/chart.js";

const [LARGE, SMALL] = [240, 150]; // pixels
const SMOOTHING = 0.9; // at first; few questions a step make rewards noisy

export class RewardCharts {
  #axes = [
    { key: "steps", title: "Steps of the stage", unit: "count" },
    { key: "seconds", title: "Time of the stage", unit: "time" },
  ];
  #view = new ChartView({ axes: this.#axes, log: false, smoothing: SMOOTHING });

  // `places` are the elements of the charts; the controls go to `controls`.
  constructor({ section, controls, places }) {
    this.section = section;
    const chart = (name, label, height = SMALL) =>
      lineChart(places[name], { view: this.#view, label, log: false, height });
    this.charts = {
      reward: chart("reward", "Reward", LARGE),
      length: chart("length", "Answer length"),
      mixed: chart("mixed", "Mixed groups"),
      divergence: chart("divergence", "Divergence"),
    };
    const names = { fileName: "rewards.csv", label: "Charts of the rewards" };
    controls.append(viewControls(this.#view, { ...names, offersLog: false }));
  }

  // Another run is on the page.
  reset() {
    this.#view.set({ zoom: null, cursor: null });
  }

  // Shown from the first moment of the stage; before, and where a stage recorded none, hidden.
  update(feeds) {
    const measured = feeds.filter((feed) => feed.rolloutPoints().length);
    this.section.hidden = !measured.length && !feeds[0].isInPhase("rl");
    if (this.section.hidden) return;
    for (const axis of this.#axes)
      axis.max = Math.max(...feeds.map((feed) => feed.stageLength("rl")[axis.key]));
    const lines = (value) => measured.map((feed) => line(feed.name, feed.rolloutPoints(), value));
    this.charts.reward.update({ series: rewardSeries(measured, lines) });
    this.charts.length.update({ series: lines((point) => point.answer_tokens) });
    this.charts.mixed.update({ series: lines((point) => 100 * point.mixed_groups) });
    this.charts.divergence.update({ series: lines((point) => point.divergence) });
  }
}

// The mean of a run; of a single one that asks several kinds of questions, these too.
function rewardSeries(feeds, lines) {
  const means = lines((point) => point.reward);
  if (feeds.length !== 1) return means;
  const points = feeds[0].rolloutPoints();
  const kinds = [...new Set(points.flatMap(({ rewards }) => Object.keys(rewards)))].sort();
  if (kinds.length < 2) return means;
  const byKind = kinds.map((kind) => line(kind, points, ({ rewards }) => rewards[kind]));
  return [{ ...means[0], name: "mean" }, ...byKind];
}

// A kind of question that a step did not ask has no point there.
function line(name, points, valueOf) {
  const all = points.map((point) => ({ ...point, y: valueOf(point) }));
  return { name, points: all.filter(({ y }) => y !== undefined) };
}
