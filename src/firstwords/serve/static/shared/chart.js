// Line charts as SVG. A series is {name, points: [{x, y, low, high}]}; its name is also its class.

const WIDTH = 800;
const HEIGHT = 240;
const MARGIN = { left: 52, right: 8, top: 8, bottom: 24 };
const SVG = "http://www.w3.org/2000/svg";

function svgElement(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

export function chart(series, { log = false, markers = false, label }) {
  const svg = svgElement("svg", {
    class: "chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": ariaLabel(series, label),
  });
  const points = series.flatMap((line) => line.points);
  if (!points.length) {
    svg.append(svgElement("text", { x: MARGIN.left, y: HEIGHT / 2 }, "no data yet"));
    return svg;
  }
  const axes = makeAxes(points, log);
  drawAxes(svg, axes);
  for (const line of series) drawLine(svg, line, axes, markers);
  return svg;
}

function ariaLabel(series, label) {
  const last = series.flatMap((line) => line.points).at(-1);
  return last ? `${label}, currently ${last.y.toPrecision(3)}` : `${label}, no data yet`;
}

// {x, y}: from values to positions; {xTicks, yTicks}: labelled values.
function makeAxes(points, log) {
  const values = points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
  const scale = log ? Math.log10 : (value) => value;
  const top = scale(Math.max(...values)) + 1e-9;
  const bottom = log ? scale(Math.max(1e-6, Math.min(...values))) : 0;
  const right = Math.max(...points.map((point) => point.x)) || 1;
  const width = WIDTH - MARGIN.left - MARGIN.right;
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  return {
    x: (value) => MARGIN.left + (value / right) * width,
    y: (value) => MARGIN.top + ((top - scale(value)) / (top - bottom || 1)) * height,
    xTicks: linearTicks(0, right),
    yTicks: log ? logTicks(10 ** bottom, 10 ** top) : linearTicks(0, top),
  };
}

function linearTicks(from, to) {
  const spacing = (to - from) / 5;
  const power = 10 ** Math.floor(Math.log10(spacing));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((value) => value >= spacing);
  const ticks = [];
  for (let value = from; value <= to; value += step) ticks.push(value);
  return ticks;
}

function logTicks(from, to) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power += 1)
    for (const digit of [1, 2, 5]) ticks.push(digit * 10 ** power);
  const inside = ticks.filter((value) => value >= from && value <= to);
  return inside.length > 1 ? inside : linearTicks(from, to).slice(1);
}

function drawAxes(svg, axes) {
  for (const value of axes.yTicks) {
    const y = axes.y(value);
    const line = { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y, y2: y };
    svg.append(svgElement("line", { class: "grid", ...line }));
    const position = { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" };
    svg.append(svgElement("text", position, String(Number(value.toPrecision(2)))));
  }
  for (const value of axes.xTicks) {
    const position = { x: axes.x(value), y: HEIGHT - 6, "text-anchor": "middle" };
    svg.append(svgElement("text", position, `${Number(value.toPrecision(2))}M`));
  }
}

function drawLine(svg, { name, points }, axes, markers) {
  if (!points.length) return;
  const [first] = points;
  const label = { x: axes.x(first.x) + 4, y: Math.max(14, axes.y(first.y) - 8) };
  svg.append(svgElement("text", label, name));
  const positions = points.map((point) => `${axes.x(point.x)},${axes.y(point.y)}`);
  const kind = { class: `line ${name}` };
  svg.append(svgElement("polyline", { ...kind, points: positions.join(" ") }));
  if (!markers) return;
  for (const point of points) {
    const x = axes.x(point.x);
    const interval = { x1: x, x2: x, y1: axes.y(point.low), y2: axes.y(point.high) };
    svg.append(svgElement("line", { ...kind, ...interval }));
    svg.append(svgElement("circle", { ...kind, cx: x, cy: axes.y(point.y), r: 3 }));
  }
}
