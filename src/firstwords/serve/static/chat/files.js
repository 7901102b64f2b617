// Conversations as files: JSON, which can be imported again, and Markdown to read.

import { decodeChat, encodeChat } from "./chat_format.js";
import { answersOf, isReply, pathOf, textOf, titleOf } from "./tree.js";

const FORMAT = "firstwords-chats-1";

export function toJson(chats) {
  return JSON.stringify({ format: FORMAT, chats: chats.map(encodeChat) }, null, 1);
}

// Returns the conversations of a file. Throws Error with a sentence to show.
export function fromJson(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error("This file is not JSON. Choose one that this page exported.");
  }
  if (document?.format !== FORMAT || !Array.isArray(document.chats))
    throw new Error("This file holds no conversations. Choose one that this page exported.");
  const chats = document.chats.map(decodeChat);
  if (!chats.length || chats.includes(null))
    throw new Error("This file is damaged: nothing was imported.");
  return chats;
}

// The chosen branch of a conversation.
export function toMarkdown(chat) {
  const lines = [`# ${titleOf(chat)}`, ""];
  for (const node of pathOf(chat)) {
    if (!isReply(node)) lines.push("**You**", "", node.text, "");
    else
      for (const answer of answersOf(chat, node))
        lines.push(`**${answer.model || answer.stage}**`, "", withoutMarkup(textOf(answer.pieces)), "");
  }
  return lines.join("\n");
}

function withoutMarkup(text) {
  const call = /<tool_call>(.*?)<\/tool_call><tool_response>(.*?)<\/tool_response>\s*/gs;
  return text.replaceAll(call, "`$1 = $2` ").trim();
}

export function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function fileName(chat, extension) {
  const words = titleOf(chat)
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? ["chat"];
  return `${words.slice(0, 6).join("-")}.${extension}`;
}
