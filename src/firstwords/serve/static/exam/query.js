// What the page shows: run, part, filters and offset. The address keeps it behind a "#", so that a
// link or a reload shows the same questions.

export const STAGES = ["pretrain", "midtrain", "sft", "rl"];
export const PAGE_SIZE = 20;
const FILTERS = ["part", ...STAGES, "search"];

export function readAddress() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const query = { run: parameters.get("run") ?? "", offset: Number(parameters.get("offset")) || 0 };
  for (const name of FILTERS) query[name] = parameters.get(name) ?? "";
  for (const stage of STAGES) if (!["right", "wrong"].includes(query[stage])) query[stage] = "";
  query.offset = Math.max(0, Math.floor(query.offset));
  query.search = query.search.slice(0, 200);
  return query;
}

// Adds an entry to the history, or replaces the current one, such as while a search is typed.
export function writeAddress(query, replace) {
  const set = Object.entries(query).filter(([, value]) => value);
  const hash = `#${new URLSearchParams(set)}`;
  if (hash === location.hash) return;
  history[replace ? "replaceState" : "pushState"](null, "", hash);
}

export function isFiltered(query) {
  return FILTERS.some((name) => query[name]);
}

export function apiQuery({ run, ...query }) {
  return { ...query, limit: PAGE_SIZE };
}
