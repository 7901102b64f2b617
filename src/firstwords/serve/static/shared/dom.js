// Builds parts of the page. Text of models and users only ever becomes text nodes, never HTML.

const TOOL_CALL = /<tool_call>(.*?)<\/tool_call><tool_response>(.*?)<\/tool_response>/s;

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

// The nodes of an answer's text: a chip for each call of the calculator, with a space between it and
// the text around it, so that copied text has one too.
export function textNodes(text) {
  const call = TOOL_CALL.exec(text);
  if (!call) return text ? [document.createTextNode(text)] : [];
  const [whole, expression, result] = call;
  const before = text.slice(0, call.index);
  const after = text.slice(call.index + whole.length);
  return [
    ...textNodes(before),
    ...spaceUnless(!before || /\s$/.test(before)),
    toolChip(expression, result),
    ...spaceUnless(!after || /^\s/.test(after)),
    ...textNodes(after),
  ];
}

function spaceUnless(present) {
  return present ? [] : [document.createTextNode(" ")];
}

function toolChip(expression, result) {
  const kind = result === "error" ? "tool error" : "tool";
  return element("span", { class: kind }, `${expression} = ${result}`);
}

// A piece is {text, tokens}: the text of one chunk of an answer, and the tokens in it.
export function pieceNodes({ text }) {
  return textNodes(text);
}

export function formatProbability(logprob) {
  const percentage = 100 * Math.exp(logprob);
  if (percentage >= 99.95) return "100 %";
  if (percentage < 0.01) return "< 0.01 %";
  return percentage >= 10 ? `${percentage.toFixed(0)} %` : `${percentage.toPrecision(2)} %`;
}
