// The document on display, and which stage, token, head and sampling settings are selected in it.
// The document is described in firstwords/inspect/xray/inspect_run.py.

const ALWAYS_OPEN = { open: true };
const NO_BREAK = "\u00a0";

export class XrayState {
  constructor(xray) {
    const { temperature, top_k: topK, top_p: topP } = xray.sampling;
    Object.assign(this, { xray, temperature, topK, topP, layer: 0, head: 0, reach: "head" });
    this.stages = xray.stages;
    this.stage = this.stages.length - 1; // index of the stage of views that show one stage
    this.promptLength = this.stages[0].tokens.filter((token) => !isGenerated(token)).length;
    this.position = xray.selected ?? this.promptLength - 1;
    this.listeners = [];
    this.scope = ALWAYS_OPEN;
  }

  // Calls `listener` now and after changes of the selection, or only after those of `names`. What
  // is folded waits until it is open again.
  onChange(listener, ...names) {
    const entry = { listener, names, scope: this.scope, due: false };
    this.listeners.push(entry);
    update(entry);
  }

  select(changes) {
    const changed = Object.keys(changes).filter((name) => this[name] !== changes[name]);
    Object.assign(this, changes);
    for (const entry of changed.length ? [...this.listeners] : []) {
      const { names } = entry;
      if (!names.length || names.some((name) => changed.includes(name))) update(entry);
    }
  }

  // Builds a part of the page that is visible only while `scope.open`.
  within(scope, build) {
    const outer = this.scope;
    this.scope = scope;
    const nodes = build();
    this.scope = outer;
    return nodes;
  }

  // Updates what waited for being open.
  refresh() {
    for (const entry of [...this.listeners]) if (entry.due) update(entry);
  }

  tokenText(id) {
    return this.xray.vocabulary[id];
  }

  // The selected position; stages may have generated different numbers of tokens.
  positionIn(stage) {
    return Math.min(this.position, stage.tokens.length - 1);
  }

  textAt(stage, position) {
    return this.tokenText(stage.tokens[position].id);
  }

  selectedText(stage) {
    return this.textAt(stage, this.positionIn(stage));
  }

  // The tokens that all stages share, and then those of each stage: [{stages, from, to}].
  tokenGroups() {
    const [first, ...others] = this.stages;
    if (!others.length) return [{ stages: [first], from: 0, to: first.tokens.length }];
    const differs = ({ id }, position) =>
      others.some((stage) => stage.tokens[position]?.id !== id);
    const found = first.tokens.findIndex(differs);
    const common = found < 0 ? first.tokens.length : found;
    const rest = this.stages
      .filter((stage) => stage.tokens.length > common)
      .map((stage) => ({ stages: [stage], from: common, to: stage.tokens.length }));
    return [{ stages: this.stages, from: 0, to: common }, ...rest];
  }
}

function update(entry) {
  entry.due = !entry.scope.open;
  if (!entry.due) entry.listener();
}

export function isGenerated(token) {
  return token.by === "model" || token.by === "tool";
}

export function formatCount(number) {
  return number.toLocaleString("en");
}

export function formatPercent(fraction) {
  const percentage = 100 * fraction;
  if (percentage > 0 && percentage < 0.05) return `<${NO_BREAK}0.1${NO_BREAK}%`;
  const digits = percentage >= 9.95 || percentage === 0 ? 0 : 1;
  return `${percentage.toFixed(digits)}${NO_BREAK}%`;
}
