// The address of the X-ray of an answer, with all that the model read before it.

import { toParameter } from "../shared/conversation.js";
import { continuesText } from "./answering.js";
import { documentFor, messagesOf, textOf, turnsFor } from "./tree.js";

// `number` is that of a token of the answer, or null. The parameters follow a "#", which browsers
// do not send to the server.
export function xrayUrl(chat, reply, answer, number) {
  const message = chat.nodes[reply.parent];
  const parameters = new URLSearchParams({ run: reply.run, stages: answer.stage });
  const written = textOf(answer.pieces);
  if (continuesText(answer.stage)) {
    parameters.set("chat", "0");
    parameters.set("text", documentFor(chat, message, answer.model) + written);
    // The prompt begins with a token for the start of a document, which is not part of the text,
    // and ends with what was given of the answer.
    const given = answer.pieces.slice(0, answer.nGiven).flatMap(({ tokens }) => tokens);
    const before = (answer.promptTokens ?? 1) - 1 - given.length;
    if (number !== null) parameters.set("token", String(Math.max(0, before + number)));
  } else {
    const turns = turnsFor(chat, message, answer.model);
    const first = Math.max(
      0,
      turns.findIndex(({ id }) => id === answer.firstRead),
    );
    const messages = messagesOf(turns.slice(first), reply.system);
    if (written.trim()) messages.push({ role: "assistant", content: written.trim() });
    parameters.set("conversation", toParameter(messages));
    if (number !== null) parameters.set("token", String(number));
  }
  return `xray/#${parameters}`;
}
