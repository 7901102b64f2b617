// A conversation as a tree: user messages and replies in turn, with one branch chosen at each
// place.
//
// {id, title, created, updated, run, stages, nodes, answers, choices}. A node is a message {id,
// parent, text, created} or a reply {id, parent, run, stages, system, answers: [id], created}.
// Nodes never change; an edit or a new answer adds a branch. `choices` maps a parent's id to that
// of its chosen child, with "" for the root. Answers change while they are generated: sending.js.

export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(36)).join("");
}

export function newChat({ run, stages }) {
  const now = Date.now();
  const empty = { nodes: {}, answers: {}, choices: {} };
  return { id: newId(), title: "", created: now, updated: now, run, stages, ...empty };
}

export function isReply(node) {
  return Boolean(node.answers);
}

// The nodes from the first to the last, along the chosen branches.
export function pathOf(chat) {
  const path = [];
  for (let parent = ""; ;) {
    const siblings = childrenOf(chat, parent);
    if (!siblings.length) return path;
    const chosen = siblings.find((node) => node.id === chat.choices[parent]) ?? siblings.at(-1);
    path.push(chosen);
    parent = chosen.id;
  }
}

export function childrenOf(chat, parent) {
  return Object.values(chat.nodes)
    .filter((node) => node.parent === parent)
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1));
}

// The nodes from the first to `node`, which need not be on the chosen path.
export function ancestry(chat, node) {
  const nodes = [];
  for (let current = node; current; current = chat.nodes[current.parent]) nodes.unshift(current);
  return nodes;
}

export function addMessage(chat, parent, text) {
  return addNode(chat, { parent, text });
}

export function addReply(chat, parent, reply) {
  return addNode(chat, { parent, ...reply });
}

function addNode(chat, node) {
  const added = { id: newId(), created: Date.now(), ...node };
  chat.nodes[added.id] = added;
  chat.choices[added.parent] = added.id;
  chat.updated = Date.now();
  return added;
}

// Chooses the branch before (-1) or after (1) a node; the first follows the last.
export function chooseSibling(chat, node, step) {
  const siblings = childrenOf(chat, node.parent);
  const place = siblings.findIndex((other) => other.id === node.id) + step;
  chat.choices[node.parent] = siblings.at(place % siblings.length).id;
  chat.updated = Date.now();
}

export function answersOf(chat, reply) {
  return reply.answers.map((id) => chat.answers[id]).filter(Boolean);
}

export function textOf(pieces) {
  return pieces.map((piece) => piece.text).join("");
}

// What a model reads before it answers `message`, as [{id, role, content}] with the id of the node:
// its own answers, or the first answer of a reply where it gave none.
export function turnsFor(chat, message, model) {
  const turns = [];
  for (const node of ancestry(chat, message)) {
    const role = isReply(node) ? "assistant" : "user";
    const answer = isReply(node) ? textOf(answerBy(chat, node, model)?.pieces ?? []) : "";
    const content = isReply(node) ? answer.trim() : node.text;
    if (!content) continue;
    if (turns.at(-1)?.role === role) turns.at(-1).content += `\n\n${content}`;
    else turns.push({ id: node.id, role, content });
  }
  return turns;
}

export function messagesOf(turns, system) {
  const messages = turns.map(({ role, content }) => ({ role, content }));
  return system ? [{ role: "system", content: system }, ...messages] : messages;
}

// The text that a base model continues: messages, its continuations of them, and answers that it did
// not write; all but the continuations begin on a new line.
export function documentFor(chat, message, model) {
  let text = "";
  for (const node of ancestry(chat, message)) {
    const answer = isReply(node) ? answerBy(chat, node, model) : null;
    const isContinuation = answer?.model === model;
    if (text && !/\s$/.test(text) && !isContinuation) text += "\n";
    text += isReply(node) ? textOf(answer?.pieces ?? []) : node.text;
  }
  return text;
}

function answerBy(chat, reply, model) {
  const answers = answersOf(chat, reply);
  return answers.find((answer) => answer.model === model) ?? answers[0];
}

export function titleOf(chat) {
  const first = Object.values(chat.nodes).find((node) => !isReply(node) && !node.parent);
  return chat.title || first?.text.replace(/\s+/g, " ").slice(0, 60) || "New chat";
}

export function isEmpty(chat) {
  return !Object.keys(chat.nodes).length;
}

// Adds to `chat` what another tab stored of it. Returns whether anything was new.
export function mergeInto(chat, stored) {
  let changed = false;
  for (const [id, node] of Object.entries(stored.nodes)) {
    if (chat.nodes[id]) continue;
    chat.nodes[id] = node;
    changed = true;
  }
  for (const [id, answer] of Object.entries(stored.answers)) {
    if (chat.answers[id] && chat.answers[id].time >= answer.time) continue;
    chat.answers[id] = answer;
    changed = true;
  }
  if (stored.updated > chat.updated) {
    const { title, run, stages, updated } = stored;
    Object.assign(chat, { title, run, stages, updated });
    Object.assign(chat.choices, stored.choices);
    changed = true;
  } else chat.choices = { ...stored.choices, ...chat.choices };
  return changed;
}
