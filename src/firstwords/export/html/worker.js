// The engine's side of the page's messages. It runs in a worker, so that the page stays responsive.

import { Engine } from "./answer.js";
import { Model } from "./engine.js";
import { Tokenizer } from "./tokenizer.js";
import { readWeights } from "./weights.js";

const SLICE_MILLISECONDS = 20; // of work between two looks for messages: at most a frame or so

let engine = null; // a promise: the first request may come while the model is loaded
let current = null; // the number of the answer that is being generated

// The first message is {model, weights}; then {request, number} asks for an answer and {stop} ends
// it. Replies are {ready}, {number, events} and {number, done: "stop" | "length" | "stopped"}.
export async function onMessage({ data }) {
  if (data.model) {
    engine = load(data);
    engine.then(() => postMessage({ ready: true }), reportError);
  } else if (data.stop) current = null;
  else await generate(data.request, data.number);
}

async function load({ model, weights }) {
  const { config, layout, tokens, special } = model;
  const tensors = await readWeights(weights, layout);
  return new Engine(new Model(config, tensors), new Tokenizer(tokens, special));
}

async function generate(request, number) {
  current = number;
  const steps = (await engine).answer(request);
  for (let step = { done: false }; !step.done; ) {
    const events = [];
    for (const start = performance.now(); performance.now() - start < SLICE_MILLISECONDS; ) {
      step = steps.next();
      if (step.done) break;
      if (step.value) events.push(step.value);
    }
    postMessage({ number, events });
    await nextTask();
    if (current !== number) return postMessage({ number, done: "stopped" });
    if (step.done) postMessage({ number, done: step.value });
  }
  current = null;
}

// Lets messages arrive. A timer would wait for 4 ms.
function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
