// The progress of one run as it grows: asks the server only for what is new, and turns it into
// series for charts.

import { getRun } from "../shared/api.js";

export const STAGES = ["pretrain", "midtrain", "sft", "rl"];
const NO_LENGTH = { from: { steps: 0, seconds: 0 }, to: { steps: 0, seconds: 0 } };

export class RunFeed {
  progress = null; // the document of the server
  // Of the whole curve: [index of the stage, step, seconds, loss, learning rate, rollouts].
  points = [];

  constructor(name) {
    this.name = name;
  }

  get isFinished() {
    return this.progress?.state === "finished";
  }

  async refresh(key) {
    const revision = this.progress?.curve.revision ?? "";
    // The last point may still change.
    const known = { revision, start: Math.max(0, this.points.length - 1) };
    const progress = await getRun(this.name, key, known);
    const { start, points } = progress.curve;
    this.points = [...this.points.slice(0, start), ...points];
    this.progress = progress;
  }

  // The stages as {name, title, from, to}; from and to are positions on every x axis.
  get stages() {
    const from = { tokens: 0, steps: 0, seconds: 0 };
    const phaseOf = (stage) => this.progress.phases.find(({ name }) => name === stage);
    return STAGES.filter(phaseOf).map((stage) => {
      const phase = phaseOf(stage);
      const start = { ...from };
      from.tokens += phase.tokens;
      from.steps += phase.steps;
      from.seconds += phase.training_seconds + (phase.seconds_left ?? 0);
      return { name: phase.title, stage, from: start, to: { ...from }, steps: phase.steps };
    });
  }

  // How long a stage is planned to be: steps, and seconds of training.
  stageLength(name) {
    const { from, to } = this.stages.find(({ stage }) => stage === name) ?? NO_LENGTH;
    return { steps: to.steps - from.steps, seconds: to.seconds - from.seconds };
  }

  isInPhase(name) {
    return this.progress.phases.some((phase) => phase.current && phase.name === name);
  }

  lossPoints() {
    // That of reinforcement learning is no cross-entropy.
    return this.#curve(3).filter(({ part }) => STAGES[part] !== "rl");
  }

  learningRatePoints() {
    return this.#curve(4);
  }

  // What reinforcement learning measures beside the loss, at places within its stage. A run without
  // that stage has none.
  rolloutPoints() {
    return this.points
      .filter((point) => point[5])
      .map(([, steps, seconds, , , measured]) => ({ steps, seconds, ...measured }));
  }

  bitsPoints() {
    const { stages } = this;
    return this.progress.bits_per_byte.map(({ stage, step, score, ci95: [low, high] }) => {
      const index = STAGES.indexOf(stage);
      const place = position(stages[index], step, this.#secondsAt(index, step));
      return { ...place, y: score, low, high, part: stage };
    });
  }

  // What the plan expected, at the end of the stage that it is for; null without a plan.
  forecastPoint() {
    const { forecast } = this.progress;
    if (!forecast) return null;
    const [low, high] = forecast.range;
    return { ...this.stages[STAGES.indexOf(forecast.stage)].to, y: forecast.expected, low, high };
  }

  #curve(column) {
    const { stages } = this;
    return this.points.map((point) => {
      const [index, step, seconds] = point;
      return { ...position(stages[index], step, seconds), y: point[column], part: index };
    });
  }

  #secondsAt(index, step) {
    const after = this.points.find(([stage, last]) => stage === index && last >= step);
    return step ? (after?.[2] ?? 0) : 0;
  }
}

// Where a step of a stage is, so many seconds after the stage's first step began.
function position({ from, to, steps }, step, seconds) {
  return {
    tokens: from.tokens + (step * (to.tokens - from.tokens)) / Math.max(1, steps), // 0 of a skipped one
    steps: from.steps + step,
    seconds: from.seconds + seconds,
  };
}
