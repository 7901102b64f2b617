// Views that fold, and the bar of links to them. Which are folded is remembered in this browser.

import { element } from "../shared/dom.js";

const FOLDED = "firstwords.xray.folded";
const FOLDED_ON_PHONES = ["model", "lens", "loss", "cache", "tokens", "similar"];
const PHONE = "(max-width: 46rem)";

// `build` returns the nodes of the view; it runs when the view is first open.
export function foldingView(state, name, texts, build) {
  const title = element("h2", {}, texts.title);
  const node = element(
    "details",
    { class: `view ${name}`, id: `view-${name}` },
    element("summary", {}, title),
    element("p", { class: "description" }, texts.says),
  );
  let built = false;
  const show = () => {
    if (built) state.refresh();
    else if (node.open) node.append(...state.within(node, build));
    built ||= node.open;
  };
  node.open = !foldedViews().has(name);
  show();
  node.addEventListener("toggle", () => {
    show();
    rememberFold(name, !node.open);
  });
  return node;
}

function foldedViews() {
  try {
    const stored = JSON.parse(localStorage.getItem(FOLDED));
    if (Array.isArray(stored)) return new Set(stored);
  } catch {
    // Files may have no storage.
  }
  return new Set(matchMedia(PHONE).matches ? FOLDED_ON_PHONES : []);
}

function rememberFold(name, isFolded) {
  const folded = foldedViews();
  if (folded.has(name) === isFolded) return;
  if (isFolded) folded.add(name);
  else folded.delete(name);
  try {
    localStorage.setItem(FOLDED, JSON.stringify([...folded]));
  } catch {
    // Without storage, the views fold but are not remembered.
  }
}

// Opens a view and scrolls to it.
export function showView(node) {
  node.open = true;
  node.querySelector("summary").focus({ preventScroll: true });
  node.scrollIntoView({ block: "start" });
}

export function contentsBar(views) {
  const links = new Map();
  const items = views.map((node) => {
    const link = element("a", { href: `#${node.id}` }, node.querySelector("h2").textContent);
    link.addEventListener("click", (event) => {
      event.preventDefault(); // the address holds the text
      showView(node);
    });
    links.set(node, link);
    return element("li", {}, link);
  });
  markCurrent(links);
  const list = element("ul", {}, ...items);
  return element("nav", { class: "contents", "aria-label": "Views" }, list);
}

// Marks the link of the view at the top of the window.
function markCurrent(links) {
  const visible = new Set();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) visible.add(target);
        else visible.delete(target);
      }
      const inSight = [...links.keys()].filter((node) => visible.has(node));
      const isBeside = (node) => getComputedStyle(node).position === "sticky";
      const current = inSight.find((node) => !isBeside(node)) ?? inSight[0];
      for (const [node, link] of links) {
        if (node !== current) {
          link.removeAttribute("aria-current");
        } else if (!link.hasAttribute("aria-current")) {
          link.setAttribute("aria-current", "true");
          const menu = link.closest("ul"); // on a phone it scrolls sideways
          menu.scrollLeft = link.offsetLeft - menu.clientWidth / 3;
        }
      }
    },
    { rootMargin: "-20% 0px -60% 0px" },
  );
  for (const node of links.keys()) observer.observe(node);
}
