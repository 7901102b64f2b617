// A conversation as JSON, for storage and export. Probabilities take most of the space, so a token
// is stored as [token, logprob, other, logprob, other, logprob ...], with three decimals.

const ROUND = 1000;

export function encodeChat(chat) {
  const answers = Object.entries(chat.answers).map(([id, answer]) => [
    id,
    { ...answer, pieces: answer.pieces.map(encodePiece) },
  ]);
  return { ...chat, answers: Object.fromEntries(answers) };
}

function encodePiece({ text, tokens }) {
  return tokens.length ? [text, ...tokens.map(encodeToken)] : text;
}

function encodeToken({ token, logprob, top }) {
  const others = top.flatMap((other) => [other.token, round(other.logprob)]);
  return [token, round(logprob), ...others];
}

function round(logprob) {
  return logprob === null ? null : Math.round(logprob * ROUND) / ROUND;
}

// Returns null for what is no conversation: storage and files may hold anything.
export function decodeChat(stored) {
  try {
    const { id, title, created, updated, run, stages, nodes, answers, choices } = stored;
    const chat = {
      id: string(id),
      title: string(title),
      created: number(created),
      updated: number(updated),
      run: string(run),
      stages: stages.map(string),
      nodes: mapValues(nodes, decodeNode),
      answers: mapValues(answers, decodeAnswer),
      choices: mapValues(choices, string),
    };
    return Object.keys(chat.nodes).length ? chat : null;
  } catch {
    return null;
  }
}

function decodeNode(node) {
  const common = {
    id: string(node.id),
    parent: string(node.parent),
    created: number(node.created),
  };
  if (!node.answers) return { ...common, text: string(node.text) };
  return {
    ...common,
    run: string(node.run),
    stages: node.stages.map(string),
    system: string(node.system),
    answers: node.answers.map(string),
  };
}

function decodeAnswer(answer) {
  return { ...answer, model: string(answer.model), pieces: answer.pieces.map(decodePiece) };
}

function decodePiece(piece) {
  if (typeof piece === "string") return { text: piece, tokens: [] };
  const [text, ...tokens] = piece;
  return { text: string(text), tokens: tokens.map(decodeToken) };
}

function decodeToken([token, logprob, ...others]) {
  const top = [];
  for (let index = 0; index < others.length; index += 2)
    top.push({ token: string(others[index]), logprob: others[index + 1] });
  return { token: string(token), logprob, top };
}

function mapValues(object, convert) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, convert(value)]));
}

function string(value) {
  if (typeof value !== "string") throw new TypeError("not a string");
  return value;
}

function number(value) {
  if (typeof value !== "number") throw new TypeError("not a number");
  return value;
}
