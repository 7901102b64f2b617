// Draws a map of attention at the pixels of the screen, and chooses which tokens to label beside it.

// A pixel that covers several pairs of tokens shows the largest weight, so that thin lines stay.
export function paintMap(canvas, rows) {
  const size = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!size) return; // not visible now
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const spans = Array.from({ length: size }, (_, pixel) => cellSpan(pixel, size, rows.length));
  const largest = new Float64Array(rows.length);
  let last = -1;
  spans.forEach(([from, to], y) => {
    if (from !== last || to > from + 1) largestOfRows(rows, from, to, largest);
    last = from;
    for (let x = 0; x < size; x++) {
      let weight = 0;
      for (let cell = spans[x][0]; cell < spans[x][1]; cell++) {
        if (largest[cell] > weight) weight = largest[cell];
      }
      // Black with this opacity; the style inverts it in dark mode.
      image.data[4 * (y * size + x) + 3] = Math.round(255 * inkOf(weight));
    }
  });
  context.putImageData(image, 0, 0);
}

// The tokens [from, to) that a pixel shows: one, or all that it covers.
function cellSpan(pixel, size, count) {
  if (count <= size) {
    const cell = Math.floor(((pixel + 0.5) * count) / size);
    return [cell, cell + 1];
  }
  return [Math.floor((pixel * count) / size), Math.ceil(((pixel + 1) * count) / size)];
}

function largestOfRows(rows, from, to, largest) {
  largest.fill(0);
  for (let row = from; row < to; row++) {
    rows[row].forEach((weight, column) => {
      if (weight > largest[column]) largest[column] = weight;
    });
  }
}

// The square root makes small weights visible; the scale shows it.
export function inkOf(weight) {
  return Math.sqrt(weight);
}

// The positions to label beside `count` tokens: every `step`-th, and `always`, which displaces its
// neighbors.
export function labelledPositions(count, step, always) {
  const regular = Array.from({ length: Math.ceil(count / step) }, (_, index) => index * step);
  const kept = regular.filter((one) => always.every((other) => Math.abs(one - other) >= step));
  return [...new Set([...kept, ...always])].sort((a, b) => a - b);
}
