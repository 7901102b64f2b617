// From the state to the page. What a model or a person wrote only ever becomes text nodes.

const TOOL = /<tool_call>(.*?)<\/tool_call><tool_response>(.*?)<\/tool_response>/s;

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// A piece is {text, tokens}: what one step let out, and the tokens it was made of.
export function pieceNodes(piece) {
  const found = TOOL.exec(piece.text);
  if (!found) return [tokenNode(piece)];
  const before = piece.text.slice(0, found.index);
  const after = piece.text.slice(found.index + found[0].length);
  const broken = found[2] === "error";
  const call = element("span", { class: broken ? "tool bad" : "tool" }, `${found[1]} = ${found[2]}`);
  return [
    ...(before ? [document.createTextNode(before)] : []),
    call,
    ...(after ? pieceNodes({ text: after, tokens: [] }) : []),
  ];
}

function tokenNode(piece) {
  if (!piece.tokens.length) return document.createTextNode(piece.text);
  const node = element("span", { class: "token" }, piece.text);
  node.tokens = piece.tokens;
  return node;
}

export function share(nats) {
  const percent = 100 * Math.exp(nats);
  if (percent >= 99.95) return "100 %";
  if (percent < 0.01) return "< 0.01 %";
  return percent >= 10 ? `${percent.toFixed(0)} %` : `${percent.toPrecision(2)} %`;
}

export function tipContent(tokens) {
  return tokens.map((entry) => {
    const others = entry.top.some((other) => other.token === entry.token)
      ? entry.top
      : [...entry.top, entry];
    const lines = others.map((other) =>
      element(
        "tr",
        { class: other.token === entry.token ? "taken" : "" },
        element("td", {}, JSON.stringify(other.token).slice(1, -1)),
        element("td", {}, share(other.nats)),
      ),
    );
    return element("table", {}, ...lines);
  });
}

export function plain(pieces) {
  return pieces.map((piece) => piece.text).join("");
}
