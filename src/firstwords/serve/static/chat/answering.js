// Generates one answer: the request for its stage, the stream, errors in plain words.

import { countTokens, streamAnswer, streamText } from "../shared/api.js";
import { documentFor, messagesOf, newId, textOf, turnsFor } from "./tree.js";

const MAX_CHARACTERS = 200_000; // of a message, which the server accepts
const MAX_TURNS = 900; // of a request
const MAX_RETRY_SECONDS = 10;
const CONTEXT_FOR_PROMPT = 0.75; // the rest is for the answer

// The base stage has never seen the chat format, so it gets plain text to continue.
export function continuesText(stage) {
  return stage === "pretrain";
}

// `given` are pieces that the answer begins with, to be continued.
export function newAnswer(model, given = []) {
  return {
    id: newId(),
    model: model.id,
    stage: model.stage,
    personality: model.personality ?? null,
    context: model.max_model_len ?? null,
    pieces: [...given],
    nGiven: given.length,
    tokens: 0,
    promptTokens: null,
    finishReason: null,
    time: Date.now(),
  };
}

// Changes `answer` while it is generated, and calls `onProgress` after each change. Returns whether
// the server could be reached.
export async function generateAnswer({
  chat,
  message,
  answer,
  system,
  settings,
  signal,
  onProgress,
}) {
  const started = performance.now();
  const change = (changes) => {
    Object.assign(answer, changes, { time: Date.now() });
    onProgress();
  };
  const sampling = samplingOf(settings, answer);
  answer.limit = sampling.max_tokens;
  const turns = fitTurns(turnsFor(chat, message, answer.model));
  answer.firstRead = turns.left ? turns[0].id : null;
  let pending = []; // tokens whose text the server holds back, such as half of a character
  const read = async () => {
    const chunks = continuesText(answer.stage)
      ? openText(chat, message, answer, sampling, settings.key, signal)
      : openChat(turns, answer, system, sampling, settings.key, signal);
    for await (const chunk of chunks) {
      pending.push(...chunk.tokens);
      if (chunk.text) {
        answer.pieces.push({ text: chunk.text, tokens: pending });
        pending = [];
      }
      if (chunk.promptInfo) Object.assign(answer, leftOut(chunk.promptInfo, turns));
      const seconds = (performance.now() - started) / 1000;
      change({
        tokens: answer.tokens + chunk.tokens.length,
        seconds: chunk.tokens.length ? seconds : answer.seconds,
        promptTokens: chunk.promptTokens ?? answer.promptTokens,
        contextFull: chunk.contextFull ?? answer.contextFull,
        finishReason: chunk.finishReason ?? answer.finishReason,
      });
    }
  };
  try {
    await retryOnce(read, answer, signal, change);
    change({ finishReason: answer.finishReason ?? "stopped" });
  } catch (error) {
    // A page that is left breaks its connections: Answers.interrupt has saved why.
    if (answer.finishReason === "interrupted") return true;
    if (signal.aborted) change({ finishReason: "stopped", waiting: "" });
    else change({ finishReason: "error", error: explainError(error) });
    return signal.aborted || !isAway(error);
  }
  return true;
}

function samplingOf({ key, seed, system, ...sampling }, answer) {
  if (seed !== "") sampling.seed = Number(seed);
  if (answer.context) sampling.max_tokens = Math.min(sampling.max_tokens, answer.context);
  return sampling;
}

// The first message that the model reads, if it does not read all, and whether it lost its
// beginning.
function leftOut({ dropped_messages: dropped = 0, truncated = false, cut = false }, turns) {
  const first = turns[Math.min(dropped, turns.length - 1)];
  const fields = truncated === true || cut === true ? { truncated: true } : {};
  return dropped ? { ...fields, firstRead: first.id } : fields;
}

// A busy server says when to ask again.
async function retryOnce(read, answer, signal, change) {
  try {
    await read();
  } catch (error) {
    const seconds = error.retryAfter;
    if (!seconds || seconds > MAX_RETRY_SECONDS || answer.tokens) throw error;
    change({ waiting: `The server is busy. Asking again in ${seconds} s.` });
    await sleep(seconds, signal);
    change({ waiting: "" });
    await read();
  }
}

function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

async function* openChat(turns, answer, system, sampling, key, signal) {
  const messages = messagesOf(turns, system);
  const given = givenText(answer);
  if (given) messages.push({ role: "assistant", content: given });
  yield* streamAnswer(answer.model, messages, sampling, key, signal);
}

async function* openText(chat, message, answer, sampling, key, signal) {
  const text = documentFor(chat, message, answer.model) + givenText(answer);
  const prompt = await fitText(text, answer, key, signal);
  yield* streamText(answer.model, prompt, sampling, key, signal);
}

function givenText({ pieces, nGiven }) {
  return textOf(pieces.slice(0, nGiven));
}

// The end of a text that leaves room for an answer. The server refuses a longer one.
async function fitText(text, answer, key, signal) {
  const room = (answer.context ?? Infinity) * CONTEXT_FOR_PROMPT;
  for (let fitted = text; ; answer.truncated = true) {
    const tokens = await tokensOf(answer.model, fitted, key, signal);
    if (tokens <= room) return fitted;
    const share = Number.isFinite(tokens) ? Math.min(0.95, (0.95 * room) / tokens) : 0.5;
    fitted = fitted.slice(-Math.ceil(fitted.length * share));
  }
}

async function tokensOf(model, text, key, signal) {
  try {
    return await countTokens(model, text.slice(-MAX_CHARACTERS), key, signal);
  } catch (error) {
    const tokens = /has ([\d,]+) tokens/.exec(error.message);
    if (error.code !== "context_length_exceeded") throw error;
    return tokens ? Number(tokens[1].replaceAll(",", "")) : Infinity;
  }
}

// Leaves out old turns that no context could hold, so that a long conversation stays within what
// the server accepts. `left` says whether there were any.
function fitTurns(turns) {
  let first = turns.length - 1;
  let characters = turns[first].content.length;
  while (first >= 2) {
    characters += turns[first - 1].content.length + turns[first - 2].content.length;
    if (characters > MAX_CHARACTERS || turns.length - first > MAX_TURNS) break;
    first -= 2;
  }
  return Object.assign(turns.slice(first), { left: first > 0 });
}

// Why a message cannot be sent, or "".
export function tooLong(text) {
  if (text.length <= MAX_CHARACTERS) return "";
  const length = text.length.toLocaleString("en");
  const limit = MAX_CHARACTERS.toLocaleString("en");
  return `This message has ${length} characters, but the server accepts ${limit}. Shorten it.`;
}

function isAway(error) {
  return error instanceof TypeError || error.status === 0;
}

export function explainError(error) {
  if (error instanceof TypeError)
    return "The server does not answer. Your message is saved: regenerate when the server is back.";
  if (error.status === 0) return "The connection broke before the answer was complete.";
  if (error.status === 401)
    return "The server needs its API key. Enter it in the settings, then regenerate.";
  if (error.status === 429) return "The server has too many requests. Regenerate in a moment.";
  if (error.status === 504) return "The answer took longer than the server allows.";
  if (error.status >= 500) return `The server failed: ${error.message}.`;
  return `The server refused the request: ${error.message}.`;
}

// Why an answer ended before the model ended it; empty if the model ended it.
export function whyEnded(answer, running) {
  const { finishReason, context, limit, tokens } = answer;
  if (!finishReason) return running ? "" : "not finished: another tab is writing it, or was closed";
  if (finishReason === "interrupted") return "interrupted: the page was closed or reloaded";
  if (finishReason === "stopped") return "stopped";
  if (finishReason !== "length") return "";
  if (answer.contextFull ?? tokens < limit)
    return `cut: the model's context of ${context} tokens is full`;
  return `cut at the maximum answer length of ${limit} tokens (in the settings)`;
}
