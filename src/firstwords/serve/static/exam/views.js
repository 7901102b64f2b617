// The parts of the page: scores, the list of parts, questions. Text of models becomes text nodes.

import { toParameter } from "../shared/conversation.js";
import { element, pieceNodes } from "../shared/dom.js";
import { STAGES } from "./query.js";

const SVG = "http://www.w3.org/2000/svg";
const ROLES = { user: "User", assistant: "Assistant", system: "System" };

export function formatPercent(share) {
  return `${Math.round(100 * share)} %`;
}

export function formatCount(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function formatInterval([low, high]) {
  return `95 % interval ${formatPercent(low)} to ${formatPercent(high)}`;
}

// A box for each stage with its score of all questions, or of one part.
export function scoreBoxes(scores, chance) {
  const boxes = STAGES.filter((stage) => scores[stage]).map((stage) => {
    const { score, ci95, n } = scores[stage];
    const details = `${formatInterval(ci95)}, ${formatCount(n, "question")}`;
    return scoreBox(stage, formatPercent(score), stage, details);
  });
  if (chance === null) return boxes;
  const about = "the score of the best constant answer";
  return [...boxes, scoreBox("chance", formatPercent(chance), "chance", about)];
}

function scoreBox(kind, value, title, details) {
  return element(
    "div",
    { class: `score ${kind}` },
    title,
    element("strong", {}, value),
    element("span", { class: "hint" }, details),
  );
}

export function partItem(part, isSelected, onclick) {
  const button = element(
    "button",
    { type: "button", "aria-pressed": String(isSelected), onclick },
    element("span", {}, part.title),
    element("span", { class: "count" }, `${part.matching} of ${part.questions}`),
    partPlot(part),
  );
  return element("li", {}, button);
}

// The score of each stage on a line from 0 to 100 %, with its interval, and the chance line.
function partPlot({ scores, chance }) {
  const label = STAGES.filter((stage) => scores[stage])
    .map((stage) => `${stage} ${formatPercent(scores[stage].score)}`)
    .join(", ");
  const plot = svg("svg", { class: "plot", role: "img", "aria-label": label });
  plot.append(svg("line", { class: "track", x1: "0%", x2: "100%", y1: 10, y2: 10 }));
  if (chance !== null && chance !== undefined) {
    const x = `${100 * chance}%`;
    plot.append(svg("line", { class: "chance", x1: x, x2: x, y1: 3, y2: 17 }));
  }
  STAGES.forEach((stage, row) => {
    if (!scores[stage]) return;
    const [low, high] = scores[stage].ci95;
    const y = (scores.rl ? 4 : 5) * (row + 1);
    const interval = { x1: `${100 * low}%`, x2: `${100 * high}%`, y1: y, y2: y };
    plot.append(svg("line", { class: stage, ...interval }));
    plot.append(svg("circle", { class: stage, cx: `${100 * scores[stage].score}%`, cy: y, r: 3 }));
  });
  return plot;
}

function svg(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// A question with the answers of all stages side by side. It can take the focus.
export function questionItem(run, question, partTitle) {
  const { number, prompt, reference, answers } = question;
  const [asked] = prompt.slice(-1);
  return element(
    "li",
    { tabindex: "-1", id: `question-${number}` },
    element("div", { class: "origin hint" }, element("span", {}, partTitle), `no. ${number}`),
    ...earlierTurns(prompt.slice(0, -1)),
    element("h3", {}, asked.content),
    element("p", { class: "expected" }, "Expected: ", ...pieces(reference || "(no reference)")),
    element("dl", { class: "answers" }, ...answerList(answers)),
    links(run, question),
  );
}

function earlierTurns(turns) {
  if (!turns.length) return [];
  const list = turns.flatMap(({ role, content }) => [
    element("dt", {}, ROLES[role] ?? role),
    element("dd", {}, ...pieces(content)),
  ]);
  const summary = element("summary", {}, formatCount(turns.length, "earlier message"));
  return [element("details", { class: "turns" }, summary, element("dl", {}, ...list))];
}

// A stage that was not asked has its place, but for the last one, which most runs leave out.
function answerList(answers) {
  const shown = STAGES.filter((stage) => stage !== "rl" || answers.rl);
  return shown.map((stage) => answer(stage, answers[stage]));
}

function answer(stage, given) {
  if (!given)
    return element("div", {}, element("dt", {}, stage), element("dd", { class: "hint" }, "not asked"));
  const outcome = given.correct ? "right" : "wrong";
  const verdict = element("span", { class: "verdict" }, `${given.correct ? "✓" : "✗"} ${outcome}`);
  return element(
    "div",
    { class: outcome },
    element("dt", {}, `${stage} `, verdict),
    element("dd", {}, ...(given.answer ? pieces(given.answer) : ["(empty)"])),
  );
}

// Calls of the calculator as chips.
function pieces(text) {
  return pieceNodes({ text, tokens: [] });
}

// Both links carry the whole conversation: the chat asks the stages that were asked in the exam, the
// X-ray takes the last of them.
function links(run, { prompt, answers }) {
  const conversation = toParameter(prompt);
  const asked = STAGES.filter((stage) => answers[stage]);
  const linkTo = (page, stages, text) => {
    const parameters = new URLSearchParams({ run, stages: stages.join(","), conversation });
    return element("a", { href: new URL(`${page}#${parameters}`, location.href).href }, text);
  };
  return element(
    "p",
    { class: "actions" },
    linkTo("../", asked, "Ask it yourself"),
    linkTo("../xray/", asked.slice(-1), "X-ray"),
  );
}
