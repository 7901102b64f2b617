// The columns of the table of runs: {title, value: for sorting, text, detail, number}.

import { describeAge, shortCount } from "../shared/run_facts.js";
import { formatDate, formatDuration, formatInterval, formatPercent, formatSize } from "./format.js";

export const COLUMNS = [
  { key: "name", title: "Run", value: (run) => run.name, text: (run) => run.name },
  { key: "state", title: "State", value: stateOrder, text: stateText, detail: stateDetail },
  {
    key: "created",
    title: "Age",
    descending: true,
    value: (run) => Date.parse(run.created),
    text: (run) => describeAge(run.created).replace(" old", ""),
    detail: (run) => formatDate(run.created),
  },
  {
    key: "exam",
    title: "Exam",
    descending: true,
    value: (run) => run.exam?.score,
    text: (run) => (run.exam ? formatPercent(run.exam.score) : "–"),
    detail: (run) => (run.exam ? formatInterval(run.exam.ci95) : ""),
  },
  {
    key: "bits",
    title: "Bits/byte",
    value: (run) => run.bits_per_byte?.score,
    text: (run) => run.bits_per_byte?.score.toFixed(3) ?? "–",
  },
  {
    key: "size",
    title: "Size",
    descending: true,
    value: (run) => run.parameters,
    text: (run) => shortCount(run.parameters),
    detail: (run) => `context ${run.context.toLocaleString("en")}`,
  },
  {
    key: "time",
    title: "Time",
    descending: true,
    value: (run) => run.seconds,
    text: (run) => formatDuration(run.seconds),
    detail: (run) => `${shortCount(run.tokens)} tokens`,
  },
  {
    key: "disk",
    title: "Disk",
    descending: true,
    value: (run) => run.disk_bytes,
    text: (run) => formatSize(run.disk_bytes),
  },
  { key: "data", title: "Data", value: dataText, text: dataText, detail: chatData },
];

function stateOrder(run) {
  return `${["training", "stopped", "finished"].indexOf(run.state)} ${1 - run.progress}`;
}

function stateText(run) {
  return run.state === "finished" ? run.state : `${run.state}, ${formatPercent(run.progress, 0)}`;
}

function stateDetail(run) {
  return run.state === "finished" ? "" : (run.stage ?? "");
}

function dataText(run) {
  return run.data;
}

function chatData(run) {
  return run.chat_data === run.data ? "" : `chat: ${run.chat_data}`;
}

// The runs that match the filter, sorted; a run without the value comes last.
export function arrange(runs, { filter, state, sort, descending }) {
  const column = COLUMNS.find(({ key }) => key === sort);
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (run) => {
    const text = `${run.name} ${run.data} ${run.chat_data} ${run.machine}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (!state || run.state === state);
  };
  return runs.filter(matches).sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
    const order = x < y ? -1 : Number(x > y);
    return descending ? -order : order;
  });
}
