// The API of this server: models, runs, streamed answers, X-rays.

const TOP_LOGPROBS = 5; // alternatives of each token
// Relative to this file, so that a proxy may add a prefix.
const urlOf = (path) => new URL(`../${path}`, import.meta.url);

// `status` is 0 if the connection broke; `retryAfter` is in seconds, if the server named a time.
export class ApiError extends Error {
  constructor(message, status, { code = null, retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

function requestHeaders(key) {
  const headers = { "content-type": "application/json" };
  return key ? { ...headers, authorization: `Bearer ${key}` } : headers;
}

async function errorOf(response) {
  let message = `the server returned status ${response.status}`;
  let code = null;
  try {
    ({ message, code } = (await response.json()).error);
  } catch {
    // Not an error of this server but of a proxy, for example: only the status is known.
  }
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  return new ApiError(message, response.status, { code, retryAfter });
}

async function get(path, key, signal) {
  const response = await fetch(urlOf(path), { headers: requestHeaders(key), signal });
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

async function post(path, body, key, signal) {
  const response = await fetch(urlOf(path), {
    method: "POST",
    headers: requestHeaders(key),
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok) throw await errorOf(response);
  return response;
}

export async function listModels(key) {
  return (await get("v1/models", key)).data;
}

// The names of all runs, the newest first.
export async function listRuns(key) {
  return (await listRunSummaries(key)).map(({ name }) => name);
}

// {name, state, created, parameters, exam, …} of all runs, the newest first;
// firstwords/runs/summary.py has all fields.
export async function listRunSummaries(key) {
  return (await get("v1/runs", key)).data;
}

// The document that firstwords/compare/document.py describes, of two runs or more. With `measure`,
// the models run on held-out text, which takes some seconds.
export async function compareRuns(names, measure, key, signal) {
  const query = new URLSearchParams({ runs: names.join(","), measure });
  return get(`v1/compare?${query}`, key, signal);
}

// The progress of a run. `known` is {revision, start}: the curve that the page has, and the index of
// the first point that it lacks; without it, the document has the whole curve.
export async function getRun(name, key, known = {}) {
  return get(`v1/runs/${encodeURIComponent(name)}?${new URLSearchParams(known)}`, key);
}

// What the growing model made of the same prompts, in the order of training.
export async function getSamples(name, key) {
  return (await get(`v1/runs/${encodeURIComponent(name)}/samples`, key)).data;
}

// A page of the questions of a run's exam that match `query`, with the answers of all stages.
export async function getExam(name, query, key) {
  return get(`v1/runs/${encodeURIComponent(name)}/exam?${new URLSearchParams(query)}`, key);
}

// The description of the API in the OpenAPI format.
export async function getOpenApi() {
  return get("openapi.json");
}

// The document that firstwords/inspect/xray/inspect_run.py describes.
export async function inspectText(request, key, signal) {
  return (await post("xray/inspect", request, key, signal)).json();
}

// How many tokens a text has, and how many fit the model's context: {tokens, context}.
export async function countXrayTokens(request, key, signal) {
  return (await post("xray/count", request, key, signal)).json();
}

// Both streams yield {text, tokens, finishReason, contextFull, promptTokens, promptInfo}. Tokens
// are [{token, logprob, top: [{token, logprob}]}]; `promptInfo` tells what of the conversation was
// left out.
export async function* streamAnswer(model, messages, settings, key, signal) {
  const options = { logprobs: true, top_logprobs: TOP_LOGPROBS, tool_calls_as_text: true };
  const body = { ...settings, ...options, model, messages };
  for await (const chunk of streamChunks("v1/chat/completions", body, key, signal)) {
    const [choice] = chunk.choices;
    const entries = choice?.logprobs?.content ?? [];
    const tokens = entries.map(({ token, logprob, top_logprobs: top }) => ({
      token,
      logprob,
      top: top.map((other) => ({ token: other.token, logprob: other.logprob })),
    }));
    yield { ...chunkFields(chunk), text: choice?.delta.content ?? "", tokens };
  }
}

export async function* streamText(model, prompt, settings, key, signal) {
  const body = { ...settings, logprobs: TOP_LOGPROBS, model, prompt };
  for await (const chunk of streamChunks("v1/completions", body, key, signal)) {
    const [choice] = chunk.choices;
    const tops = choice?.logprobs?.top_logprobs ?? [];
    const tokens = tops.map((top, index) => ({
      token: readableToken(choice.logprobs.tokens[index]),
      logprob: choice.logprobs.token_logprobs[index],
      top: Object.entries(top).map(([token, logprob]) => ({
        token: readableToken(token),
        logprob,
      })),
    }));
    yield { ...chunkFields(chunk), text: choice?.text ?? "", tokens };
  }
}

// The number of tokens of a text. Throws ApiError if they are more than the context.
export async function countTokens(model, prompt, key, signal) {
  const response = await post("v1/completions", { model, prompt, max_tokens: 0 }, key, signal);
  return (await response.json()).usage.prompt_tokens;
}

// The text completions write a part of a character as "bytes:\xNN".
function readableToken(token) {
  return token.startsWith("bytes:") ? "\ufffd" : token;
}

function chunkFields(chunk) {
  return {
    finishReason: chunk.choices[0]?.finish_reason ?? null,
    contextFull: chunk.choices[0]?.firstwords?.context_full ?? null,
    promptTokens: chunk.usage?.prompt_tokens ?? null,
    promptInfo: chunk.firstwords ?? null,
  };
}

async function* streamChunks(path, body, key, signal) {
  const options = { stream: true, stream_options: { include_usage: true } };
  const response = await post(path, { ...body, ...options }, key, signal);
  for await (const data of serverSentEvents(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(chunk.error.message, 500);
    yield chunk;
  }
  throw new ApiError("the connection closed before the answer was complete", 0);
}

async function* serverSentEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const data = event
        .split("\n")
        .filter((line) => line.startsWith("data: "))
        .map((line) => line.slice(6))
        .join("\n");
      if (data) yield data;
    }
  }
}
