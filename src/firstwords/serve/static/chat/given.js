// Messages that a conversation begins with, such as those of a question of the exam.

import { newAnswer } from "./answering.js";
import { addMessage, addReply } from "./tree.js";

const GIVEN = { id: "", stage: "given" }; // no model has written it

// Returns whether the conversation of an address ends in a message to be sent.
export function isQuestion(messages) {
  const roles = (messages ?? []).map(({ role }) => role);
  return roles.at(-1) === "user" && roles.every((role) => role === "user" || role === "assistant");
}

export function addGiven(chat, messages) {
  let parent = "";
  for (const { role, content } of messages) {
    const isAnswer = role === "assistant";
    const node = isAnswer ? addGivenAnswer(chat, parent, content) : addMessage(chat, parent, content);
    parent = node.id;
  }
}

function addGivenAnswer(chat, parent, text) {
  const answer = { ...newAnswer(GIVEN, [{ text, tokens: [] }]), finishReason: "stop" };
  chat.answers[answer.id] = answer;
  return addReply(chat, parent, { run: "", stages: [], system: "", answers: [answer.id] });
}
