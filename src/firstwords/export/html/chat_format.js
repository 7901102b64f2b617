// From a conversation to token ids: the same as tokenizer/chat_format.py and inference/chat.py.

import { strip } from "./text.js";

const TOOL_BLOCK = /<tool_call>([^]*?)<\/tool_call><tool_response>([^]*?)<\/tool_response>/g;
const MIN_ANSWER_TOKENS = 64; // of the context reserved for the answer, but a quarter of it at most

// Encodes messages, {role, content}, so that `context` tokens have room for an answer. The oldest
// turns are dropped first; of a message that is too long only the end is kept. Returns {ids,
// dropped: how many messages were, truncated: whether the last one was}.
export function fitPrompt(tokenizer, messages, context) {
  const room = answerRoom(context);
  const end = [tokenizer.special["<|im_start|>"], ...tokenizer.encode("assistant\n")];
  let dropped = messages.length;
  let ids = end;
  for (let first = messages.length - 1; first >= 0; first -= 2) {
    const pair = messages.slice(first, first + 2).flatMap((one) => encodeMessage(tokenizer, one));
    if (pair.length + ids.length > room) break;
    dropped = first;
    ids = [...pair, ...ids];
  }
  if (dropped < messages.length) return { ids, dropped, truncated: false };
  const header = [tokenizer.special["<|im_start|>"], ...tokenizer.encode("user\n")];
  const rest = [...encodeMessage(tokenizer, messages.at(-1)), ...end].slice(header.length);
  const kept = rest.slice(-(room - header.length));
  return { ids: [...header, ...kept], dropped: messages.length - 1, truncated: kept.length < rest.length };
}

// Encodes the beginning of a text; of one that is too long only the end is kept.
export function fitText(tokenizer, text, context) {
  const ids = tokenizer.encode(text);
  const kept = ids.slice(-(answerRoom(context) - 1));
  const start = tokenizer.special["<|endoftext|>"];
  return { ids: [start, ...kept], dropped: 0, truncated: kept.length < ids.length };
}

function answerRoom(context) {
  return context - Math.min(MIN_ANSWER_TOKENS, Math.floor(context / 4));
}

export function encodeMessage(tokenizer, { role, content }) {
  const start = tokenizer.special["<|im_start|>"];
  const end = [tokenizer.special["<|im_end|>"], ...tokenizer.encode("\n")];
  const text = strip(content);
  if (role !== "assistant") return [start, ...tokenizer.encode(`${role}\n${text}`), ...end];
  return [start, ...tokenizer.encode("assistant\n"), ...encodeAnswer(tokenizer, text), ...end];
}

// Only complete tool blocks of the assistant become special tokens.
function encodeAnswer(tokenizer, content) {
  const ids = [];
  let end = 0;
  const special = (name) => ids.push(tokenizer.special[name]);
  for (const block of content.matchAll(TOOL_BLOCK)) {
    ids.push(...tokenizer.encode(content.slice(end, block.index)));
    special("<tool_call>");
    ids.push(...tokenizer.encode(block[1]));
    special("</tool_call>");
    special("<tool_response>");
    ids.push(...tokenizer.encode(block[2]));
    special("</tool_response>");
    end = block.index + block[0].length;
  }
  return [...ids, ...tokenizer.encode(content.slice(end))];
}
