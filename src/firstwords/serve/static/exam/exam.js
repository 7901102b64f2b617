// The exam browser: asks the server for the questions that match the filters, 20 at a time.

import { getExam, listRuns } from "../shared/api.js";
import { element } from "../shared/dom.js";
import { loadSettings } from "../shared/storage.js";
import { PAGE_SIZE, STAGES, apiQuery, isFiltered, readAddress, writeAddress } from "./query.js";
import { formatCount, partItem, questionItem, scoreBoxes } from "./views.js";

const TYPING_MILLISECONDS = 250; // after the last key, before the search starts
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const { key } = loadSettings();
const bar = document.querySelector("app-bar");
let query = readAddress();
let runs = [];
let newest = 0; // number of the newest request: answers of older ones are ignored

async function start() {
  for (const stage of STAGES) {
    const options = [["", "any"], ["right", "right"], ["wrong", "wrong"]]; // prettier-ignore
    page[stage].append(...options.map(([value, text]) => element("option", { value }, text)));
  }
  showNothing("Reading the answers.");
  runs = await listRuns(key);
  await bar.ready;
  if (runs.includes(query.run)) bar.selectRun(query.run);
  bar.addEventListener("runchange", followBar);
  if (!runs.length) return showNothing("There is no run yet. To train one, run: firstwords train");
  await refresh();
}

// Shows the run that is selected in the bar.
async function followBar() {
  if (!bar.run || bar.run === query.run) return;
  runs = bar.runs.map(({ name }) => name);
  await change({ run: bar.run, part: "" });
}

// Shows what the address asks for.
async function refresh() {
  if (!runs.includes(query.run)) query.run = bar.run ?? runs[0];
  for (const stage of STAGES) page[stage].value = query[stage];
  if (page.search !== document.activeElement) page.search.value = query.search;
  newest += 1;
  const current = newest;
  try {
    const exam = await getExam(query.run, apiQuery(query), key);
    if (current === newest) show(exam);
    return current === newest;
  } catch (error) {
    if (current === newest) showError(error);
    return false;
  }
}

function show(exam) {
  const part = exam.parts.find(({ name }) => name === query.part);
  page.empty.hidden = true;
  page.browser.hidden = false;
  page.scores.replaceChildren(...scoreBoxes((part ?? exam).scores, (part ?? exam).chance));
  for (const id of ["rl-legend", "rl-filter"]) page[id].hidden = !exam.scores.rl;
  showParts(exam.parts);
  page.criterion.textContent = part ? `Right means: ${part.correct_means}.` : "";
  page.reset.disabled = !isFiltered(query);
  showQuestions(exam);
}

function showParts(parts) {
  const matching = parts.reduce((sum, part) => sum + part.matching, 0);
  const focused = [...page.parts.children].findIndex((item) => item.contains(document.activeElement));
  page.parts.replaceChildren(
    ...parts.map((part) => {
      const isSelected = part.name === query.part;
      return partItem(part, isSelected, () => change({ part: isSelected ? "" : part.name }));
    }),
  );
  if (focused >= 0) page.parts.children[focused]?.querySelector("button").focus();
  const options = parts.map(({ name, title, matching: count }) =>
    element("option", { value: name }, `${title} (${count})`),
  );
  page.part.replaceChildren(element("option", { value: "" }, `all parts (${matching})`), ...options);
  page.part.value = query.part;
}

function showQuestions({ questions, parts, matching, offset, total }) {
  const titles = new Map(parts.map(({ name, title }) => [name, title]));
  page.questions.replaceChildren(
    ...questions.map((question) => questionItem(query.run, question, titles.get(question.part))),
  );
  const shown = `${formatCount(matching, "question")} of ${total.toLocaleString("en")}`;
  showStatus(matching ? `${shown}.` : "No question matches these filters.");
  page.paging.hidden = matching <= PAGE_SIZE && !offset;
  page.range.textContent = matching ? `${offset + 1} to ${offset + questions.length}` : "none";
  page.previous.disabled = offset === 0;
  page.next.disabled = offset + questions.length >= matching;
}

function showNothing(text) {
  page.browser.hidden = true;
  page.scores.replaceChildren();
  page.empty.textContent = text;
  page.empty.hidden = false;
}

function showError(error) {
  if (error.status === 404) return showNothing(`${capitalize(error.message)}.`);
  const hint = error.status === 401 ? " Enter the key in the settings of the chat." : "";
  showNothing(`Cannot show the exam: ${error.message}.${hint}`);
}

function capitalize(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function showStatus(text) {
  if (page.status.textContent !== text) page.status.textContent = text;
}

// Filters start at the first page again; `replace` keeps the history short while one types.
function change(changes, replace = false) {
  query = { ...query, offset: 0, ...changes };
  writeAddress(query, replace);
  return refresh();
}

async function turnPage(direction, focusOn) {
  const offset = Math.max(0, query.offset + direction * PAGE_SIZE);
  if (!(await change({ offset }))) return;
  const item = focusOn === "last" ? page.questions.lastElementChild : page.questions.firstElementChild;
  (item ?? page.questions).focus();
}

// Moves the focus to the next or previous question, over the borders of pages.
function moveFocus(direction) {
  const items = [...page.questions.children];
  const current = items.findIndex((item) => item.contains(document.activeElement));
  const target = current < 0 && direction < 0 ? -1 : current + direction;
  if (items[target]) {
    items[target].focus();
    items[target].scrollIntoView({ block: "nearest" });
  } else if (direction > 0 && !page.next.disabled) turnPage(1, "first");
  else if (direction < 0 && !page.previous.disabled) turnPage(-1, "last");
}

let typing;
page.search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => change({ search: page.search.value.trim() }, true), TYPING_MILLISECONDS);
});
page.filters.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  change({ search: page.search.value.trim() });
});
for (const name of ["part", ...STAGES])
  page[name].addEventListener("change", () => change({ [name]: page[name].value }));
page.reset.addEventListener("click", () => {
  page.search.value = "";
  page.search.focus(); // the button is about to be disabled
  change({ part: "", pretrain: "", midtrain: "", sft: "", rl: "", search: "" });
});
page.previous.addEventListener("click", () => turnPage(-1, "first"));
page.next.addEventListener("click", () => turnPage(1, "first"));
addEventListener("popstate", () => {
  query = readAddress();
  if (runs.includes(query.run)) bar.selectRun(query.run);
  page.search.value = query.search; // even if it has the focus
  refresh();
});
bar.addShortcuts("Exam", [
  { keys: "j", title: "Next question", action: () => moveFocus(1) },
  { keys: "k", title: "Previous question", action: () => moveFocus(-1) },
  { keys: "/", title: "Search", action: () => page.search.focus() },
]);

start().catch(showError);
