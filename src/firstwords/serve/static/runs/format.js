// Figures of runs and comparisons as text.

export function formatSize(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
}

export function formatDuration(seconds) {
  const rounded = Math.round(seconds);
  const [hours, minutes] = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  const rest = two(rounded % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

export function formatPercent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}

export function formatInterval([low, high]) {
  return `${(100 * low).toFixed(0)} to ${(100 * high).toFixed(0)} %`;
}

export function formatDate(created) {
  const options = { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(undefined, options).format(new Date(created));
}

// A difference with its sign, such as "+2.1 ± 0.9".
export function formatDifference(difference, halfWidth, digits) {
  const sign = difference < 0 ? "−" : "+";
  return `${sign}${Math.abs(difference).toFixed(digits)} ± ${halfWidth.toFixed(digits)}`;
}

// A value of a manifest.
export function formatValue(value) {
  if (value === null || (Array.isArray(value) && !value.length)) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "number" ? value.toLocaleString("en") : String(value);
}
