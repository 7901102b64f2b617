// What is looked at: a document of the server or of a file, and where the eye rests in it. The
// layout of the document is told in firstwords/xray/look.py.

export class Look {
  constructor(seen) {
    const { temperature, top_k: topK, top_p: topP } = seen.sampling;
    Object.assign(this, { seen, temperature, topK, topP, layer: 0, head: 0 });
    this.stages = seen.stages;
    this.place = this.stages[0].tokens.findLastIndex((token) => !written(token));
    this.drawings = [];
  }

  // Calls `draw` now and after every choice.
  onChoice(draw) {
    this.drawings.push(draw);
    draw();
  }

  choose(changes) {
    Object.assign(this, changes);
    for (const draw of this.drawings) draw();
  }

  name(token) {
    return this.seen.vocabulary[token];
  }

  // Stages may have written on at different length.
  placeIn(stage) {
    return Math.min(this.place, stage.tokens.length - 1);
  }

  nameAt(stage, place) {
    return this.name(stage.tokens[place].id);
  }

  chosenIn(stage) {
    return this.nameAt(stage, this.placeIn(stage));
  }
}

export function written(token) {
  return token.by === "model" || token.by === "tool";
}

export function count(number) {
  return number.toLocaleString("en");
}

export function percent(share) {
  const shown = 100 * share;
  if (shown > 0 && shown < 0.05) return "< 0.1 %";
  return `${shown.toFixed(shown >= 9.95 || shown === 0 ? 0 : 1)} %`;
}
