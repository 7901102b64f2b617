// Lines over an axis, as SVG: series of {name, points: [{x, y, low, high}]}; the name is a class.

const WIDTH = 800;
const HEIGHT = 240;
const LEFT = 52;
const BELOW = 24;
const ABOVE = 8;
const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

export function chart(series, { log = false, dots = false, label }) {
  const root = shape("svg", {
    class: "chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": describe(series, label),
  });
  const points = series.flatMap((one) => one.points);
  if (!points.length) {
    root.append(shape("text", { x: LEFT, y: HEIGHT / 2 }, "nothing yet"));
    return root;
  }
  const place = scales(points, log);
  drawAxes(root, place);
  for (const one of series) drawLine(root, one, place, dots);
  return root;
}

function describe(series, label) {
  const last = series.flatMap((one) => one.points).at(-1);
  return last ? `${label}; now ${last.y.toPrecision(3)}` : `${label}; nothing yet`;
}

function scales(points, log) {
  const values = points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
  const bend = log ? Math.log10 : (value) => value;
  const top = bend(Math.max(...values)) + 1e-9;
  const bottom = log ? bend(Math.max(1e-6, Math.min(...values))) : 0;
  const right = Math.max(...points.map((point) => point.x)) || 1;
  return {
    x: (value) => LEFT + (value / right) * (WIDTH - LEFT - 8),
    y: (value) =>
      ABOVE + ((top - bend(value)) / (top - bottom || 1)) * (HEIGHT - ABOVE - BELOW),
    xs: ticks(0, right),
    ys: log ? logTicks(10 ** bottom, 10 ** top) : ticks(0, top),
  };
}

function ticks(from, to) {
  const rough = (to - from) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let value = from; value <= to; value += step) found.push(value);
  return found;
}

function logTicks(from, to) {
  const found = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power += 1)
    for (const digit of [1, 2, 5]) found.push(digit * 10 ** power);
  const inside = found.filter((value) => value >= from && value <= to);
  return inside.length > 1 ? inside : ticks(from, to).slice(1);
}

function drawAxes(root, place) {
  for (const value of place.ys) {
    const y = place.y(value);
    root.append(shape("line", { class: "grid", x1: LEFT, x2: WIDTH - 8, y1: y, y2: y }));
    const text = String(Number(value.toPrecision(2)));
    root.append(shape("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, text));
  }
  for (const value of place.xs) {
    const text = `${Number(value.toPrecision(2))}M`;
    root.append(shape("text", { x: place.x(value), y: HEIGHT - 6, "text-anchor": "middle" }, text));
  }
}

function drawLine(root, one, place, dots) {
  if (!one.points.length) return;
  const [first] = one.points;
  const named = { x: place.x(first.x) + 4, y: Math.max(14, place.y(first.y) - 8) };
  root.append(shape("text", named, one.name));
  const at = one.points.map((point) => `${place.x(point.x)},${place.y(point.y)}`);
  root.append(shape("polyline", { class: `line ${one.name}`, points: at.join(" ") }));
  if (!dots) return;
  for (const point of one.points) {
    const x = place.x(point.x);
    const bar = { x1: x, x2: x, y1: place.y(point.low), y2: place.y(point.high) };
    root.append(shape("line", { class: `line ${one.name}`, ...bar }));
    root.append(shape("circle", { class: `line ${one.name}`, cx: x, cy: place.y(point.y), r: 3 }));
  }
}
