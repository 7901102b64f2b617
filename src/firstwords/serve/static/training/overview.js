// What a run is doing now, in words and bars: state, times, phases, and the result at the end.

import { formatTime } from "../shared/chart_scale.js";
import { element } from "../shared/dom.js";

// From 0 to 1 by time; null if nothing says how long the run will take.
export function fractionDone({ state, seconds, seconds_left: left }) {
  if (state === "finished") return 1;
  return left === null || !(seconds + left) ? null : seconds / (seconds + left);
}

export function percent(fraction) {
  return `${Math.floor(100 * fraction)} %`;
}

// The state in a sentence that changes seldom enough to be read aloud.
export function describeState(run) {
  const phase = run.phases.find(({ current }) => current);
  if (run.state === "finished") return `Run ${run.run} is finished.`;
  const title = phase?.title ?? "The report";
  return run.state === "stopped"
    ? `Run ${run.run} stopped in this phase: ${title.toLowerCase()}.`
    : `${title} is running.`;
}

// Step, loss, speed and times, which change at every look.
export function describeNumbers(run) {
  const phase = run.phases.find(({ current }) => current);
  const { stage } = run;
  const parts = [];
  if (stage && phase?.name === stage.name) {
    parts.push(`step ${formatCount(stage.step)} of ${formatCount(stage.steps)}`);
    if (stage.reward === undefined) parts.push(`loss ${stage.loss.toFixed(3)}`);
    else parts.push(...policyParts(stage));
    if (run.state === "running")
      parts.push(`${formatCount(Math.round(stage.tokens_per_second))} tokens/s`);
  }
  if (phase && phase.seconds_left !== null)
    parts.push(`${formatTime(phase.seconds_left)} left in this phase`);
  if (run.state !== "finished" && run.seconds_left !== null)
    parts.push(`${formatTime(run.seconds_left)} left in total`);
  return parts.join(" · ");
}

// What reinforcement learning shows instead of a loss, means of the last steps.
function policyParts({ rewards, reward, answer_tokens: tokens, mixed_groups: mixed, divergence }) {
  const kinds = Object.entries(rewards).map(([kind, value]) => `${kind} ${value.toFixed(2)}`);
  const byKind = kinds.length > 1 ? ` (${kinds.join(", ")})` : "";
  return [
    `reward ${reward.toFixed(2)}${byKind}`,
    `answers of ${tokens.toFixed(0)} tokens`,
    `${Math.round(100 * mixed)} % mixed groups`,
    `divergence ${divergence.toFixed(3)}`,
  ];
}

export function formatCount(number) {
  return number.toLocaleString("en");
}

export function phaseNodes(run) {
  return run.phases.map((phase) => {
    const kind = phase.done ? "done" : phase.current ? "current" : "waiting";
    return element(
      "li",
      { class: kind, ...(phase.current ? { "aria-current": "step" } : {}) },
      element("span", { class: "title" }, phase.title),
      element("span", { class: "state" }, phaseState(run, phase)),
      element("span", { class: "times" }, phaseTimes(phase)),
      ...(phase.current ? [phaseBar(phase)] : []),
    );
  });
}

function phaseState(run, phase) {
  if (phase.done) return "done";
  if (!phase.current) return "not started";
  const state = run.state === "running" ? "running" : "stopped";
  const { step, steps } = phase;
  if (steps) return `${state}, step ${formatCount(step)} of ${formatCount(steps)}`;
  const parts = phase.parts ?? [];
  if (!parts.length) return state;
  const [stage, part] = parts.at(-1).split(".");
  return `${state}, ${parts.length} parts done, last ${part.replaceAll("_", " ")} of ${stage}`;
}

function phaseTimes({ done, current, seconds, seconds_left: left, planned_seconds: planned }) {
  const plan = planned === null ? "" : `planned ${formatTime(planned)}`;
  if (done || current) return [formatTime(seconds), plan].filter(Boolean).join(", ");
  return left === null ? plan : `about ${formatTime(left)}`;
}

function phaseBar(phase) {
  const bar = element("progress", { max: 1, "aria-label": phase.title });
  const { steps, step, seconds, seconds_left: left } = phase;
  if (steps) bar.value = step / steps;
  // Without a plan the bar has no value: it moves, but says nothing.
  else if (left !== null) bar.value = Math.min(0.99, seconds / (seconds + left || 1));
  return bar;
}

// The card at the end: score, time, and what to do with the model.
export function resultNodes(run) {
  const scores = run.scores.rl ?? run.scores.sft ?? {};
  const tokens = run.phases.reduce((sum, phase) => sum + (phase.tokens ?? 0), 0);
  const facts = [
    ["Exam", scores.exam && scoreText(scores.exam, (score) => `${Math.round(100 * score)} %`)],
    ["Bits per byte", scores.bits_per_byte && scoreText(scores.bits_per_byte, (x) => x.toFixed(2))],
    ["Time", `${formatTime(run.seconds)} of ${formatTime(run.budget_seconds)}`],
    ["Trained on", `${(tokens / 1e6).toFixed(1)}M tokens`],
  ].filter(([, text]) => text);
  const pages = { "Talk to it": "", Report: "report/", Exam: "exam/", "X-ray": "xray/" };
  const links = Object.entries(pages).map(([title, path]) =>
    element("a", { class: "button", href: `../${path}?run=${encodeURIComponent(run.run)}` }, title),
  );
  return [
    element(
      "dl",
      {},
      ...facts.map(([name, text]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, text)),
      ),
    ),
    element("p", { class: "links" }, ...links),
  ];
}

function scoreText({ score, ci95: [low, high] }, format) {
  return `${format(score)} (${format(low)} to ${format(high)})`;
}
