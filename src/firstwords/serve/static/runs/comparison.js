// The comparison of two runs or more: the document of GET /v1/compare as sentences, tables and
// charts, and prompts that the models answer side by side.

import { compareRuns } from "../shared/api.js";
import { ChartView, lineChart, viewControls } from "../shared/chart.js";
import { element } from "../shared/dom.js";
import { promptSection } from "./answers.js";
import {
  formatDifference,
  formatDuration,
  formatInterval,
  formatPercent,
  formatValue,
} from "./format.js";

const STAGES = ["pretrain", "midtrain", "sft", "rl"];
let pending = new AbortController();
let charts = [];

export async function showComparison(page, names, key) {
  hideComparison(page);
  const { signal } = (pending = new AbortController());
  page["comparison-title"].textContent = `${names.join(" and ")} compared`;
  setStatus(page, "Comparing …");
  try {
    const compared = await compareRuns(names, false, key, signal);
    if (signal.aborted) return;
    const shown = sections(compared, key, signal);
    page.result.replaceChildren(...Object.values(shown).flat());
    drawCharts(page.result, compared.curves);
    setStatus(page, "The models read the same text, to measure their bits per byte …");
    const measured = await compareRuns(names, true, key, signal);
    if (signal.aborted) return;
    shown.verdict.replaceWith(verdict(measured));
    shown.bits.replaceWith(bitsSection(names, measured.bits_per_byte));
    setStatus(page, "");
  } catch (error) {
    if (!signal.aborted) setStatus(page, `Cannot compare: ${error.message}`);
  }
}

export function hideComparison(page) {
  pending.abort();
  for (const chart of charts) chart.remove();
  charts = [];
  page.result.replaceChildren();
}

function setStatus(page, text) {
  page["comparison-status"].textContent = text;
}

function sections(compared, key, signal) {
  const names = compared.runs.map(({ name }) => name);
  return {
    verdict: verdict(compared),
    curves: section("Curves", element("div", { class: "curves" })),
    differences: section("Differences", differences(names, compared.differences)),
    benchmarks: compared.benchmarks.map((benchmark) => benchmarkSection(names, benchmark)),
    bits: bitsSection(names, { reason: "the models are still reading" }),
    examples: exampleSection(names, compared.benchmarks),
    answers: promptSection(names, compared.stages, key, signal),
    methods: section("Methods", list(Object.values(compared.methods), "hint")),
  };
}

function bitsSection(names, measured) {
  return section("Bits per byte of the same text", bits(names, measured));
}

function section(title, ...children) {
  return element("section", {}, element("h2", {}, title), ...children);
}

function list(lines, kind = "") {
  return element("ul", { class: kind }, ...lines.map((line) => element("li", {}, line)));
}

function verdict({ verdicts, notes }) {
  const blocks = verdicts.map(({ outcome, sentences: [first, ...rest] }) =>
    element(
      "div",
      { class: `verdict ${outcome}` },
      element("p", {}, element("strong", {}, first)),
      ...rest.map((line) => element("p", {}, line)),
    ),
  );
  return element("section", { "aria-label": "Verdict" }, ...blocks, list(notes, "hint"));
}

// --- tables ---------------------------------------------------------------------------------------

// `rows` are [title, cell, …]; a wide table scrolls sideways.
function table(label, header, rows) {
  const head = header.map((title) => element("th", { scope: "col" }, title));
  const body = rows.map(([title, ...cells]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, title),
      ...cells.map((cell) => (cell instanceof Node ? cell : element("td", {}, cell))),
    ),
  );
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...body),
    ),
  );
}

function differences(names, found) {
  if (!found.length)
    return element("p", {}, "Recipe, data, machine and version are the same.");
  const format = (name) => (name === "time" ? formatDuration : formatValue);
  const rows = found.map(({ section: kind, name, values }) => [
    name === "time" ? kind : name,
    ...values.map(format(name)),
  ]);
  return table("Differences", ["of recipe, data and machine", ...names], rows);
}

// The parts of the exam are shown; those of other benchmarks open with a click.
function benchmarkSection(names, { name, title, scores, pairs, parts }) {
  const others = names.slice(1).map((name) => `${name} − ${names[0]}`);
  const row = (part, of) => [
    part,
    ...of.scores.map(scoreCell),
    ...of.pairs.map((pair) => pairCell(pair, 100, 1)),
  ];
  const all = row("all", { scores, pairs });
  const rows = parts.map((part) => row(part.title, part));
  const header = ["part", ...names, ...others];
  const isFolded = name !== "exam" && rows.length > 0;
  const reasons = pairs.filter((pair) => pair.reason).map(({ reason }) => reason);
  const hint = "Differences in points on the questions that both answered. Marked ones are clear";
  const corrected = parts.length ? ", parts after a correction for their number." : ".";
  return section(
    title[0].toUpperCase() + title.slice(1),
    element("p", { class: "hint" }, hint + corrected),
    ...reasons.map((reason) => element("p", {}, `Not compared item by item: ${reason}.`)),
    table(title, header, isFolded ? [all] : [all, ...rows]),
    ...(isFolded ? [folded(`${rows.length} parts`, table(`${title}, parts`, header, rows))] : []),
  );
}

function folded(summary, content) {
  return element("details", {}, element("summary", {}, summary), content);
}

function scoreCell(score) {
  if (!score) return element("td", {}, "–");
  const interval = element("small", {}, formatInterval(score.ci95));
  return element("td", {}, formatPercent(score.score), interval);
}

function pairCell(pair, scale, digits, better = 1) {
  if (!pair || pair.reason) return element("td", {}, "–");
  const outcome = pair.difference * better > 0 ? "better" : "worse";
  const text = formatDifference(scale * pair.difference, scale * pair.half_width, digits);
  if (!pair.clear) return element("td", {}, text);
  return element("td", { class: outcome }, element("strong", {}, text), element("small", {}, outcome));
}

function bits(names, { reason, text, documents, scores, pairs }) {
  if (reason) return element("p", {}, `Not compared: ${reason}.`);
  const rows = names.map((name, index) => [
    name,
    scores[index].toFixed(3),
    index ? pairCell(pairs[index - 1], 1, 3, -1) : "",
  ]);
  const about = `${documents.toLocaleString("en")} documents, ${text}. Lower is better.`;
  return element(
    "div",
    {},
    element("p", { class: "hint" }, about),
    table("Bits per byte", ["run", "bits per byte", `difference to ${names[0]}`], rows),
  );
}

// --- questions ------------------------------------------------------------------------------------

function exampleSection(names, benchmarks) {
  const exam = benchmarks.find(({ name }) => name === "exam");
  const cards = (exam?.examples ?? []).flatMap((examples, index) =>
    examples.map((example) => exampleCard([names[0], names[index + 1]], example)),
  );
  return cards.length ? [section("Questions that only one answered correctly", ...cards)] : [];
}

function exampleCard(names, { prompt, answers, correct }) {
  const columns = names.map((name, index) =>
    element(
      "div",
      { class: correct[index] ? "right" : "wrong" },
      element("h4", {}, `${name}: ${correct[index] ? "right" : "wrong"}`),
      element("p", {}, answers[index] || "(empty)"),
    ),
  );
  return element(
    "article",
    { class: "card" },
    element("h3", {}, prompt),
    element("div", { class: "columns" }, ...columns),
  );
}

// --- curves ---------------------------------------------------------------------------------------

function drawCharts(result, curves) {
  const axes = [{ key: "tokens", title: "Tokens", unit: "count" }];
  const view = new ChartView({ axes });
  const place = result.querySelector(".curves");
  place.append(viewControls(view, { fileName: "comparison.csv", label: "Curves" }));
  const point = ([x, y], part) => ({ tokens: 1e6 * x, y, part });
  const bitsSeries = curves.map(({ run, bits_per_byte: points }) => ({
    name: run,
    markers: true,
    points: points.map((pair) => point(pair, "")),
  }));
  const lossSeries = curves.map(({ run, loss }) => ({
    name: run,
    points: STAGES.flatMap((stage) => (loss[stage] ?? []).map((pair) => point(pair, stage))),
  }));
  for (const [label, series, hint] of [
    ["Bits per byte of held-out text", bitsSeries, "Lower is better."],
    ["Training loss", lossSeries, "In nats per target; stages have different targets."],
  ]) {
    const container = element("div", {});
    place.append(element("h3", {}, label), element("p", { class: "hint" }, hint), container);
    charts.push(lineChart(container, { label, series, view }));
  }
}
