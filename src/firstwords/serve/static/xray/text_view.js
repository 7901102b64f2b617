// What the model read and wrote, as text in which a token can be selected.

import { element } from "../shared/dom.js";
import { checkpointTitle } from "./stages.js";
import { formatCount, formatPercent } from "./state.js";
import { textStrip } from "./token_strip.js";

export function textView(state) {
  const [shared, ...own] = state.tokenGroups();
  const several = state.stages.length > 1;
  const columns = own.map((group) => {
    const title = element("h3", {}, checkpointTitle(group.stages[0]));
    const strip = textStrip(state, group, `Written by ${group.stages[0].stage}`);
    return element("div", { class: "column" }, title, strip);
  });
  const written = several ? [element("div", { class: "columns" }, ...columns)] : [];
  const notes = historyNotes(state.xray).map((note) => element("p", { class: "note" }, note));
  return [...notes, textStrip(state, shared, "Text"), ...written, selectedToken(state)];
}

// What the model did not read, though one may think that it did.
function historyNotes({ chat, messages, dropped, truncated }) {
  if (!messages) {
    return chat
      ? ["One message without a conversation before it; the model knows of no earlier message."]
      : [];
  }
  const count = dropped === 1 ? "The first message" : `The first ${formatCount(dropped)} messages`;
  return [
    ...(dropped ? [`${count} did not fit the context, so the model did not read them.`] : []),
    ...(truncated ? ["The message was longer than the context; the model read its end."] : []),
  ];
}

function selectedToken(state) {
  const list = element("ul", { class: "details readings" });
  state.onChange(() => list.replaceChildren(...readings(state)), "position");
  return list;
}

// How likely the selected token was in each stage.
function readings(state) {
  return state.stages.map((stage) => {
    const position = state.positionIn(stage);
    const name = state.stages.length > 1 ? `${stage.stage}: ` : "";
    const text = `${name}“${state.selectedText(stage)}”, token ${position}`;
    if (!position) return element("li", {}, `${text}: the first, so nothing predicts it.`);
    const nats = stage.loss.nats[position];
    const rank = stage.loss.rank[position];
    return element(
      "li",
      {},
      `${text}: the model gave it ${formatPercent(Math.exp(-nats))}, rank ${formatCount(rank)}.`,
    );
  });
}
