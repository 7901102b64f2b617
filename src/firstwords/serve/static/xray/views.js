// The views that are lists and strips: tokens, loss, similar tokens, the lens, the cache.

import { element } from "../view.js";
import { count, percent, written } from "./look.js";
import { bar, strip } from "./strip.js";

export function tokens(look, stage) {
  const figures = (place) => ({ under: stage.tokens[place].id, shade: 0 });
  const words = element("p", { class: "facts" });
  look.onChoice(() => {
    const { id, by, start, end } = stage.tokens[look.placeIn(stage)];
    const whence = {
      text: `bytes ${start} to ${end} of the text`,
      frame: "not of the text: it marks where a document or a message begins or ends",
      model: "written by the model",
      tool: "the calculator's answer",
    };
    words.textContent = `“${look.name(id)}” is number ${count(id)} of ${count(stage.model.vocabulary)}: ${whence[by]}.`;
  });
  return [strip(look, stage, "Tokens and their numbers", figures), words];
}

export function loss(look, stage) {
  const { nats, rank, mean, bits_per_byte: bits, tokens: length, bytes } = stage.loss;
  const most = Math.max(...nats.slice(1));
  const figures = (place) => ({
    under: nats[place]?.toFixed(1) ?? "–",
    shade: most ? (nats[place] ?? 0) / most : 0,
  });
  const words = element("p", { class: "facts" });
  look.onChoice(() => {
    const place = look.placeIn(stage);
    const name = look.chosenIn(stage);
    words.textContent = place
      ? `“${name}”: ${nats[place].toFixed(2)} nats. It had been given ` +
        `${percent(Math.exp(-nats[place]))}, as choice number ${count(rank[place])}.`
      : `“${name}” is the first: nothing foretells it.`;
  });
  const all = `The text, ${count(length)} tokens and ${count(bytes)} bytes: ${mean.toFixed(3)} nats a token, ${bits.toFixed(3)} bits a byte.`;
  return [
    strip(look, stage, "Loss in nats", figures),
    words,
    element("p", { class: "facts" }, all),
  ];
}

export function similar(look, stage) {
  const title = element("p", { class: "title" });
  const list = element("ol", { class: "bars" });
  look.onChoice(() => {
    title.textContent = `Like “${look.chosenIn(stage)}”`;
    const found = stage.similar[stage.tokens[look.placeIn(stage)].id];
    list.replaceChildren(
      ...found.map(([id, cosine]) => item(look.name(id), Math.max(0, cosine), cosine.toFixed(2))),
    );
  });
  return [title, list];
}

function item(name, share, figure) {
  return element("li", {}, element("span", { class: "piece" }, name), ...bar(share, figure));
}

export function lens(look, stage) {
  const titles = ["token", ...stage.lens.map((level) => level.after), "came"];
  const rows = stage.tokens.map((token, place) => lensRow(look, stage, place));
  const region = wide(
    `What each layer of ${stage.stage} would say next`,
    table("lens", titles, rows),
  );
  const closer = element("div", { class: "levels" });
  look.onChoice(() => {
    rows.forEach((row, place) => row.classList.toggle("chosen", place === look.placeIn(stage)));
    closer.replaceChildren(...lensCloser(look, stage));
  });
  return [region, closer];
}

function lensRow(look, stage, place) {
  const came = stage.tokens[place + 1]?.id;
  const cells = stage.lens.map((level) => {
    const [id, share] = level.top[place][0];
    const cell = element("td", {}, look.name(id), " ", element("small", {}, percent(share)));
    cell.style.setProperty("--shade", share);
    cell.classList.toggle("right", id === came);
    return cell;
  });
  const name = element("th", { scope: "row" }, look.nameAt(stage, place));
  const last = element("td", {}, came === undefined ? "" : look.name(came));
  const row = element("tr", {}, name, ...cells, last);
  row.addEventListener("click", () => look.choose({ place }));
  return row;
}

// What may be wider than the page is moved in a place of its own.
function wide(name, inner) {
  const region = { class: "wide", role: "region", "aria-label": name, tabindex: 0 };
  return element("div", region, inner);
}

function table(kind, titles, rows) {
  const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)));
  return element(
    "table",
    { class: kind },
    element("thead", {}, head),
    element("tbody", {}, ...rows),
  );
}

function lensCloser(look, stage) {
  const place = look.placeIn(stage);
  const came = stage.tokens[place + 1];
  const words = came
    ? `After “${look.chosenIn(stage)}” came “${look.name(came.id)}”; a frame marks where it is the first choice.`
    : `After “${look.chosenIn(stage)}”`;
  const lists = stage.lens.map((level) => {
    const items = level.top[place].map(([id, share]) => item(look.name(id), share, percent(share)));
    const chance = came ? ` (“${look.name(came.id)}” ${percent(level.next[place])})` : "";
    return element(
      "div",
      {},
      element("p", { class: "title" }, level.after + chance),
      element("ol", { class: "bars" }, ...items),
    );
  });
  return [element("p", { class: "facts" }, words), ...lists];
}

export function cache(look, stage) {
  const { steps, reserved } = stage.cache ?? { steps: [] };
  const why = stage.cache ? "The text fills the context." : "Let the model go on with some tokens.";
  if (!steps.length) return [element("p", { class: "facts" }, why)];
  const names = stage.tokens.filter(written).map((token) => look.name(token.id));
  const rows = steps.map((step, number) =>
    element(
      "tr",
      {},
      element("td", {}, String(number + 1)),
      element("td", { class: "piece" }, names[number]),
      element("td", {}, String(step.read)),
      element("td", {}, String(step.tokens)),
      element("td", {}, ...bar(step.bytes / reserved, kilobytes(step.bytes))),
    ),
  );
  const titles = ["step", "wrote", "read", "tokens held", "bytes held"];
  const sum = (name) => steps.reduce((all, step) => all + step[name], 0);
  const words =
    `${count(sum("read"))} tokens went through the model; without a cache it had been ${count(sum("without"))}. ` +
    `Full, at ${count(stage.model.context)} tokens, the cache holds ${kilobytes(reserved)}.`;
  return [
    wide(`The cache of ${stage.stage}`, table("cache", titles, rows)),
    element("p", { class: "facts" }, words),
  ];
}

function kilobytes(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
