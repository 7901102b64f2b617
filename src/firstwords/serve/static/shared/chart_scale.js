// Scales, ticks and labels of charts: pure functions that know no page.

const DIGITS = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1]];
const SECONDS = [
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => 60 * minutes),
  ...[1, 2, 3, 6, 12].map((hours) => 3600 * hours),
];
const DAY = 86400;
const MAX_TICKS = 10;
const TIMES_TO_BE_LOG = 8; // from the first to the last value; below, round steps read better
const PREFIXES = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "k"],
];

// The labelled values of an axis from `from` to `to`, {value, label}, in ascending order: the
// densest set of round values whose labels do not touch. `unit` is plain, count or time, `position`
// maps a value to pixels, and `size` a label to the pixels it needs along the axis.
export function axisTicks({ from, to, log = false, unit = "plain", position, size }) {
  if (!(to > from)) return [{ value: from, label: tickLabels([from], unit, 0)[0] }];
  let fallback = [];
  for (const { values, step } of candidates(from, to, log, unit)) {
    const labels = tickLabels(values, unit, step);
    const ticks = values.map((value, index) => ({ value, label: labels[index] }));
    if (!fit(ticks, position, size)) continue;
    if (ticks.length > 1) return ticks;
    if (!fallback.length) fallback = ticks;
  }
  return fallback;
}

function* candidates(from, to, log, unit) {
  if (log && to / from >= TIMES_TO_BE_LOG) yield* logCandidates(from, to);
  for (const step of steps((to - from) / MAX_TICKS, unit)) {
    const first = Math.ceil(from / step - 1e-9);
    const last = Math.floor(to / step + 1e-9);
    const values = Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
    yield { values, step };
    if (step > 2 * (to - from)) return;
  }
}

function* logCandidates(from, to) {
  const [first, last] = [Math.floor(Math.log10(from)), Math.floor(Math.log10(to))];
  const powers = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const inside = (values) =>
    values.filter((value) => value >= from * (1 - 1e-9) && value <= to * (1 + 1e-9));
  for (const digits of DIGITS)
    yield { values: inside(powers.flatMap((power) => digits.map((digit) => digit * 10 ** power))) };
  for (let every = 2; every < powers.length; every += 1)
    yield { values: inside(powers.filter((power) => power % every === 0).map((p) => 10 ** p)) };
}

// All round steps from `smallest` on.
function* steps(smallest, unit) {
  if (unit !== "time") return yield* decimalSteps(smallest);
  for (const step of decimalSteps(smallest)) {
    if (step >= 1) break;
    yield step;
  }
  yield* SECONDS.filter((step) => step >= smallest);
  for (const days of decimalSteps(Math.max(1, smallest / DAY))) yield days * DAY;
}

function* decimalSteps(smallest) {
  for (let power = Math.floor(Math.log10(smallest)); ; power += 1)
    for (const digit of [1, 2, 5])
      if (digit * 10 ** power >= smallest * (1 - 1e-9)) yield digit * 10 ** power;
}

function fit(ticks, position, size) {
  return ticks.every(({ value, label }, index) => {
    if (!index) return true;
    const before = ticks[index - 1];
    const distance = Math.abs(position(value) - position(before.value));
    return distance >= (size(label) + size(before.label)) / 2;
  });
}

// Labels of one unit and one number of decimals, given by the step, so that no two are equal.
// Without a step, as on a log axis, each value has a single digit.
export function tickLabels(values, unit, step) {
  const largest = Math.max(...values.map(Math.abs), 0);
  if (unit === "time") return values.map((value) => timeLabel(value, largest, step));
  const [divisor, prefix] = prefixOf(largest, unit === "count" ? 1e3 : 1e5);
  if (!step) return values.map((value) => `${Number((value / divisor).toPrecision(3))}${prefix}`);
  const decimals = Math.max(0, -Math.floor(Math.log10(step / divisor) + 1e-9));
  if (decimals > 5) {
    const powers = [largest, step].map((value) => Math.floor(Math.log10(value) + 1e-9));
    const digits = Math.max(0, powers[0] - powers[1]);
    return values.map((value) => value.toExponential(digits));
  }
  return values.map((value) => (value ? `${(value / divisor).toFixed(decimals)}${prefix}` : "0"));
}

// The divisor and the name of the prefix for a value; none below `smallest`.
function prefixOf(value, smallest) {
  return PREFIXES.find(([size]) => value >= size && value >= smallest) ?? [1, ""];
}

function timeLabel(seconds, largest, step) {
  if (!seconds) return "0";
  if (step && step < 1) return `${seconds.toFixed(-Math.floor(Math.log10(step) + 1e-9))} s`;
  if (largest <= 120) return `${Math.round(seconds)} s`;
  const [unit, name] = largest < 7200 ? [60, "min"] : [3600, "h"];
  if (step % unit === 0) return `${seconds / unit} ${name}`;
  if (unit === 60 || step % 60) return formatTime(seconds);
  return `${hoursAndMinutes(seconds)} h`;
}

function hoursAndMinutes(seconds) {
  const minutes = Math.round((seconds % 3600) / 60);
  return `${Math.floor(seconds / 3600)}:${String(minutes).padStart(2, "0")}`;
}

// A value as text with about four digits, for readouts.
export function formatValue(value, unit = "plain") {
  if (unit === "time") return formatTime(value);
  if (unit === "count") {
    const [divisor, prefix] = prefixOf(value, 1e5);
    if (divisor === 1) return Math.round(value).toLocaleString("en");
    return `${(value / divisor).toFixed(2)}${prefix}`;
  }
  return String(Number(value.toPrecision(4)));
}

// 59:07 or 2:05:00.
export function formatTime(seconds) {
  const rounded = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60, rounded % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

// The range of an axis that shows all values, with a little space around them. A linear axis starts
// at 0 unless the values are far from it compared with their spread.
export function valueDomain(values, log) {
  if (!values.length) return log ? [0.1, 10] : [0, 1];
  const [smallest, largest] = [Math.min(...values), Math.max(...values)];
  if (log) {
    const padding = Math.max((largest / smallest) ** 0.05, 1.01);
    return [smallest / padding, largest * padding];
  }
  const padding = 0.05 * (largest - smallest) || 0.05 * Math.abs(largest) || 1;
  const fromZero = smallest >= 0 && smallest < largest / 2;
  return [fromZero ? 0 : smallest - padding, largest + padding];
}

// The exponential moving average; each value is a mean of those up to it, so that the first
// ones are not drawn towards 0. `weight` is that of the average so far: 0 is no smoothing, and it is
// below 1.
export function movingAverage(values, weight) {
  let [sum, total] = [0, 0];
  return values.map((value) => {
    sum = weight * sum + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return sum / total;
  });
}

// The index of the point whose x is nearest; points are sorted by x. -1 without points.
export function nearestIndex(xs, x) {
  let [low, high] = [0, xs.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle;
    else high = middle;
  }
  return high > low && xs[high] - x < x - xs[low] ? high : low < xs.length ? low : -1;
}
