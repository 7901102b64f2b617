// The document on display, and which token, head and sampling settings are selected in it. The
// document is described in firstwords/inspect/xray/inspect_run.py.

export class XrayState {
  constructor(xray) {
    const { temperature, top_k: topK, top_p: topP } = xray.sampling;
    Object.assign(this, { xray, temperature, topK, topP, layer: 0, head: 0 });
    this.stages = xray.stages;
    this.position = this.stages[0].tokens.findLastIndex((token) => !isGenerated(token));
    this.listeners = [];
  }

  // Calls `listener` now and after every change of the selection.
  onChange(listener) {
    this.listeners.push(listener);
    listener();
  }

  select(changes) {
    Object.assign(this, changes);
    for (const listener of this.listeners) listener();
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
}

export function isGenerated(token) {
  return token.by === "model" || token.by === "tool";
}

export function formatCount(number) {
  return number.toLocaleString("en");
}

export function formatPercent(fraction) {
  const percentage = 100 * fraction;
  if (percentage > 0 && percentage < 0.05) return "< 0.1 %";
  return `${percentage.toFixed(percentage >= 9.95 || percentage === 0 ? 0 : 1)} %`;
}
