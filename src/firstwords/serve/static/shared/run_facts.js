// What the bar says about a run of GET /v1/runs, in words. A fact that is not known is left out.

const UNITS = [
  ["year", 31_557_600],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export function describeRun({ parameters, created, exam, context }) {
  return [
    parameters && `${shortCount(parameters)} parameters`,
    created && describeAge(created),
    exam && `exam ${(100 * exam.score).toFixed(0)} %`,
    context && `context ${context.toLocaleString("en")}`,
  ].filter(Boolean);
}

// 2,560,000 is "2.56M".
export function shortCount(number) {
  const format = { notation: "compact", maximumSignificantDigits: 3 };
  return new Intl.NumberFormat("en", format).format(number);
}

// `created` is a time in seconds since 1970, or as text.
export function describeAge(created, now = Date.now()) {
  const time = typeof created === "number" ? 1000 * created : Date.parse(created);
  const seconds = Math.max(0, (now - time) / 1000);
  const [unit, length] = UNITS.find((entry) => seconds >= entry[1]) ?? UNITS.at(-1);
  const count = Math.floor(seconds / length);
  return count ? `${count} ${unit}${count === 1 ? "" : "s"} old` : "just started";
}
