// Generates one answer: the loop of inference/engine.py and the parser of inference/stream.py.

import { fitPrompt, fitText } from "./chat_format.js";
import { candidates, sampleToken } from "./sampler.js";
import { utf8Decoder } from "./text.js";
import { calculate } from "./tool.js";

const CANDIDATES = 5; // tokens shown with their probabilities

// Holds a model with its cache, and generates answers one after the other.
export class Engine {
  constructor(model, tokenizer) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.context = model.config.max_seq_len;
    this.names = []; // texts of tokens, made when first shown
    this.cached = []; // the token ids whose keys and values are in the cache
  }

  // Yields {prompt: {tokens, dropped, truncated}}, then events of the answer: {text, tokens} or
  // {call, result, tokens}, with the tokens that were drawn since the last event; or null after
  // each token that completes nothing. Returns "stop" or "length".
  *answer(request) {
    const { messages, text, sampling } = request;
    const prompt = messages
      ? fitPrompt(this.tokenizer, messages, this.context)
      : fitText(this.tokenizer, text, this.context);
    const { ids, dropped, truncated } = prompt;
    yield { prompt: { tokens: ids.length, dropped, truncated } };
    yield* this.prefill(ids);
    return yield* this.decode(ids, sampling);
  }

  // Brings all but the last token into the cache, except what is there from the last answer.
  *prefill(ids) {
    let shared = 0;
    while (shared < ids.length - 1 && this.cached[shared] === ids[shared]) shared++;
    this.cached.length = shared;
    for (const token of ids.slice(shared, -1)) {
      this.append(token);
      yield null;
    }
  }

  *decode(prompt, sampling) {
    const ids = [...prompt];
    const parser = new AnswerParser(this.tokenizer);
    let drawn = 0;
    let tokens = [];
    while (drawn < sampling.max_tokens && ids.length < this.context && !parser.finished) {
      this.append(ids.at(-1));
      if (parser.forced.length) {
        ids.push(parser.forced.shift());
        continue;
      }
      const logits_V = this.model.logits();
      const token = sampleToken(logits_V, sampling, ids, drawn++);
      ids.push(token);
      tokens.push(this.named(candidates(logits_V, token, CANDIDATES)));
      const event = parser.feed(token);
      yield event && { ...event, tokens };
      if (event) tokens = [];
    }
    const rest = parser.flush();
    if (rest) yield { ...rest, tokens };
    return parser.finished ? "stop" : "length";
  }

  append(token) {
    this.model.forward(token, this.cached.length);
    this.cached.push(token);
  }

  named({ token, probability, top }) {
    const name = (id) => (this.names[id] ??= this.tokenizer.decode([id]));
    return {
      token: name(token),
      probability,
      top: top.map((other) => ({ token: name(other.token), probability: other.probability })),
    };
  }
}

// Parses one answer, token by token, into text and calls of the calculator.
class AnswerParser {
  constructor(tokenizer) {
    const { special } = tokenizer;
    this.tokenizer = tokenizer;
    this.ends = [special["<|im_end|>"], special["<|endoftext|>"], special["<|im_start|>"]];
    this.callStart = special["<tool_call>"];
    this.callEnd = special["</tool_call>"];
    this.response = [special["<tool_response>"], special["</tool_response>"]];
    this.utf8 = utf8Decoder(); // a character may span tokens
    this.expression = null; // the tokens of an open call
    this.finished = false; // by a token that ends the turn
    this.forced = []; // tokens that must follow: the tool's response
  }

  // Returns the event that a token completes, or null. Stray tool markup is dropped.
  feed(token) {
    if (this.ends.includes(token)) {
      this.finished = true;
      return null;
    }
    if (this.expression) {
      if (token === this.callEnd) return this.computeCall();
      this.expression.push(token);
      return null;
    }
    if (token === this.callStart) this.expression = [];
    if ([this.callStart, this.callEnd, ...this.response].includes(token)) return null;
    return textEvent(this.utf8.decode(this.tokenizer.bytes(token), { stream: true }));
  }

  // Returns an incomplete last character, as U+FFFD.
  flush() {
    return textEvent(this.utf8.decode());
  }

  computeCall() {
    const call = this.tokenizer.decode(this.expression);
    const result = calculate(call);
    const [start, end] = this.response;
    this.forced = [start, ...this.tokenizer.encode(result), end];
    this.expression = null;
    return { call, result };
  }
}

function textEvent(text) {
  return text ? { text } : null;
}
