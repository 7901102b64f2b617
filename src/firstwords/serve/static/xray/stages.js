// Views of several stages: beside each other, or one at a time behind tabs.

import { element } from "../shared/dom.js";
import { formatCount } from "./state.js";

let tabsCount = 0;

export function checkpointTitle({ stage, step, steps }) {
  return `${stage}, step ${formatCount(step)} of ${formatCount(steps)}`;
}

// A column for each stage. `build(stage)` returns its nodes.
export function stageColumns(state, build) {
  const columns = state.stages.map((stage) => {
    const title = element("h3", {}, checkpointTitle(stage));
    title.hidden = state.stages.length === 1;
    return element("div", { class: "column" }, title, ...build(stage));
  });
  return element("div", { class: "columns" }, ...columns);
}

// The stage that is selected for all views of one stage. `build(stage)` returns its nodes.
export function stagePanels(state, build) {
  if (state.stages.length === 1) return build(state.stages[0]);
  const outer = state.scope;
  const panels = state.stages.map((stage, index) => {
    const scope = {
      get open() {
        return outer.open && state.stage === index;
      },
    };
    return { stage, scope, node: element("div", { class: "panel" }) };
  });
  state.onChange(() => {
    panels.forEach(({ node }, index) => (node.hidden = index !== state.stage));
    const { stage, scope, node } = panels[state.stage];
    if (node.childElementCount) state.refresh();
    else node.append(...state.within(scope, () => build(stage)));
  }, "stage");
  return [stageTabs(state), ...panels.map(({ node }) => node)];
}

function stageTabs(state) {
  const name = `stage-tabs-${++tabsCount}`;
  const tabs = state.stages.map(({ stage }, index) => {
    const radio = element("input", { type: "radio", name, value: stage });
    radio.addEventListener("change", () => state.select({ stage: index }));
    state.onChange(() => (radio.checked = state.stage === index), "stage");
    return element("label", { class: "tab" }, radio, stage);
  });
  const legend = element("legend", { class: "hidden" }, "Stage");
  return element("fieldset", { class: "tabs" }, legend, ...tabs);
}
