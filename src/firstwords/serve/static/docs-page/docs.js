// The documentation's pages: copy buttons of code blocks, the search over titles and headings, and
// the contents, which are folded on a narrow screen.

import { element } from "../shared/dom.js";

const MAX_RESULTS = 12;
const NARROW = matchMedia("(max-width: 52rem)");
const contents = document.querySelector(".contents details");

// --- code blocks and tables -----------------------------------------------------------------------

function addCopyButton(block) {
  const button = element("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    const copied = await copy(block.querySelector("code").textContent);
    button.textContent = copied ? "Copied" : "Not allowed by the browser";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  const frame = element("div", { class: "code" });
  block.replaceWith(frame);
  frame.append(block, button);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // without https, browsers allow it only on this machine
  }
}

// What scrolls sideways can be reached with the keyboard.
function markScrolling() {
  for (const node of document.querySelectorAll("pre, .wide")) {
    if (node.scrollWidth > node.clientWidth) node.tabIndex = 0;
    else node.removeAttribute("tabindex");
  }
}

// --- search ---------------------------------------------------------------------------------------

function addSearch(place) {
  const root = new URL(place.dataset.root || ".", location.href);
  const input = element("input", {
    type: "search",
    "aria-label": "Search titles",
    placeholder: "Search titles ( / )",
  });
  const results = element("ul", { "aria-label": "Results" });
  const status = element("p", { class: "hint", role: "status" });
  let index = null;
  input.addEventListener("input", async () => {
    index ??= fetch(new URL("search.json", root)).then((response) => response.json());
    const found = search(await index.catch(() => []), input.value);
    results.replaceChildren(...found.slice(0, MAX_RESULTS).map((entry) => result(entry, root)));
    status.textContent = input.value.trim() ? describe(found.length) : "";
  });
  place.append(input, status, results);
  return input;
}

function describe(count) {
  if (!count) return "No title has these words.";
  return count > MAX_RESULTS ? `${count} results, the first ${MAX_RESULTS} are:` : "";
}

// The entries whose title has all words; those of pages come before those of their sections.
function search(index, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const found = index.filter(({ title, within }) => {
    const searched = `${title} ${within}`.toLowerCase();
    return words.every((word) => searched.includes(word));
  });
  const isSection = ({ url }) => Number(url.includes("#"));
  return found.sort((a, b) => isSection(a) - isSection(b));
}

function result({ title, within, url }, root) {
  const link = element("a", { href: new URL(url, root).href }, title);
  link.append(element("span", { class: "within" }, within));
  return element("li", {}, link);
}

// --- start ----------------------------------------------------------------------------------------

function fold() {
  if (contents) contents.open = !NARROW.matches;
}

for (const block of document.querySelectorAll("pre")) addCopyButton(block);
markScrolling();
addEventListener("resize", markScrolling);
addEventListener("toggle", markScrolling, true);
fold();
NARROW.addEventListener("change", fold);
const place = document.querySelector("#search");
if (place) {
  const input = addSearch(place);
  const action = () => {
    contents.open = true;
    input.focus();
  };
  const bar = document.querySelector("app-bar");
  bar.addShortcuts("Documentation", [{ keys: "/", title: "Search", action }]);
}
