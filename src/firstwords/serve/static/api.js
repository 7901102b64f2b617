// The server's side: the list of models, answers as they stream, and X-rays.

const at = (path) => new URL(path, import.meta.url); // wherever the page itself is

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

function headers(key) {
  const all = { "content-type": "application/json" };
  return key ? { ...all, authorization: `Bearer ${key}` } : all;
}

async function failed(response) {
  let message = `the server answered ${response.status}`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // Not the server's own answer; the status has to do.
  }
  if (response.status === 429) message += " (too many people are asking)";
  return new ApiError(message, response.status);
}

async function get(path, key) {
  const response = await fetch(at(path), { headers: headers(key) });
  if (!response.ok) throw await failed(response);
  return response.json();
}

export async function listModels(key) {
  return (await get("v1/models", key)).data;
}

// The names of all runs, the newest first.
export async function listRuns(key) {
  return (await get("v1/runs", key)).data;
}

export async function getRun(name, key) {
  return get(`v1/runs/${encodeURIComponent(name)}`, key);
}

// What the server says of itself (OpenAPI).
export async function getDescription() {
  return get("openapi.json");
}

// The document of firstwords/xray/look.py.
export async function lookAt(asked, key, signal) {
  const response = await fetch(at("xray/look"), {
    method: "POST",
    headers: headers(key),
    body: JSON.stringify(asked),
    signal,
  });
  if (!response.ok) throw await failed(response);
  return response.json();
}

// Yields {text, tokens, reason}; tokens are [{token, nats, top: [{token, nats}]}].
export async function* ask(model, messages, settings, key, signal) {
  const response = await fetch(at("v1/chat/completions"), {
    method: "POST",
    headers: headers(key),
    body: JSON.stringify({
      ...settings,
      model,
      messages,
      stream: true,
      logprobs: true,
      top_logprobs: 5,
    }),
    signal,
  });
  if (!response.ok) throw await failed(response);
  for await (const data of serverSentEvents(response.body)) {
    if (data === "[DONE]") return;
    const document = JSON.parse(data);
    if (document.error) throw new ApiError(document.error.message, 500);
    const [choice] = document.choices;
    if (!choice) continue;
    yield {
      text: choice.delta.content ?? "",
      tokens: (choice.logprobs?.content ?? []).map((entry) => ({
        token: entry.token,
        nats: entry.logprob,
        top: entry.top_logprobs.map((other) => ({ token: other.token, nats: other.logprob })),
      })),
      reason: choice.finish_reason,
    };
  }
  throw new ApiError("the answer was cut off", 0);
}

async function* serverSentEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part
        .split("\n")
        .filter((line) => line.startsWith("data: "))
        .map((line) => line.slice(6))
        .join("\n");
      if (data) yield data;
    }
  }
}
