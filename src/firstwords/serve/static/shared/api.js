// The API of this server: models, runs, streamed answers, X-rays.

// Relative to this file, so that a proxy may add a prefix.
const urlOf = (path) => new URL(`../${path}`, import.meta.url);

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

function requestHeaders(key) {
  const headers = { "content-type": "application/json" };
  return key ? { ...headers, authorization: `Bearer ${key}` } : headers;
}

async function errorOf(response) {
  let message = `the server returned status ${response.status}`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // Not an error of this server but of a proxy, for example: only the status is known.
  }
  return new ApiError(message, response.status);
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

// Yields {text, tokens, finishReason}; tokens are [{token, logprob, top: [{token, logprob}]}].
export async function* streamAnswer(model, messages, settings, key, signal) {
  const options = { stream: true, logprobs: true, top_logprobs: 5 };
  const body = { ...settings, model, messages, ...options };
  const response = await post("v1/chat/completions", body, key, signal);
  for await (const data of serverSentEvents(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(chunk.error.message, 500);
    const [choice] = chunk.choices;
    if (!choice) continue;
    yield {
      text: choice.delta.content ?? "",
      tokens: (choice.logprobs?.content ?? []).map((entry) => ({
        token: entry.token,
        logprob: entry.logprob,
        top: entry.top_logprobs.map(({ token, logprob }) => ({ token, logprob })),
      })),
      finishReason: choice.finish_reason,
    };
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
