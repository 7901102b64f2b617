// Examples of requests as curl commands, in Python and in JavaScript. OpenAI's clients send those
// that they know.

export const LANGUAGES = { curl: "curl", python: "Python", javascript: "JavaScript" };

const BODIES = {
  "/v1/chat/completions": {
    model: "default",
    messages: [{ role: "user", content: "Who are you?" }],
    max_tokens: 64,
  },
  "/v1/completions": { model: "default", prompt: "Once upon a time", max_tokens: 32 },
  "/xray/inspect": { text: "The old fox", generate: 8 },
};

// The method of OpenAI's clients for an endpoint, and what an answer's text is called.
const CALLS = {
  "/v1/chat/completions": { call: "chat.completions.create", text: "choices[0].message.content" },
  "/v1/completions": { call: "completions.create", text: "choices[0].text" },
};

export const root = new URL("..", document.baseURI).href;

export function example(language, path, method) {
  const url = root + path.slice(1).replace(/{(\w+)}/, (_, name) => name.toUpperCase());
  const body = method === "GET" ? null : (BODIES[path] ?? {});
  const write = { curl: curlCommand, python: pythonProgram, javascript: javascriptProgram };
  return write[language](path, url, body);
}

function curlCommand(path, url, body) {
  if (!body) return `curl ${url}`;
  return `curl ${url} -H 'content-type: application/json' \\\n  -d '${JSON.stringify(body)}'`;
}

function pythonProgram(path, url, body) {
  if (path in CALLS) {
    const { call, text } = CALLS[path];
    const fields = Object.entries(body).map(([name, value]) => `    ${name}=${inPython(value)},\n`);
    return (
      `from openai import OpenAI\n\nclient = OpenAI(base_url="${root}v1", api_key="none")\n` +
      `answer = client.${call}(\n${fields.join("")})\nprint(answer.${text})`
    );
  }
  const printed = "as response:\n    print(response.read().decode())";
  if (!body) return `from urllib.request import urlopen\n\nwith urlopen("${url}") ${printed}`;
  return (
    `import json\nfrom urllib.request import Request, urlopen\n\n` +
    `body = json.dumps(${inPython(body)}).encode()\n` +
    `request = Request("${url}", body, {"Content-Type": "application/json"})\n` +
    `with urlopen(request) ${printed}`
  );
}

// JSON in one line, with spaces as in Python. The examples have no true, false or null.
function inPython(value) {
  if (Array.isArray(value)) return `[${value.map(inPython).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, of]) => `"${name}": ${inPython(of)}`);
  return `{${fields.join(", ")}}`;
}

function javascriptProgram(path, url, body) {
  if (path in CALLS) {
    const { call, text } = CALLS[path];
    return (
      `import OpenAI from "openai";\n\n` +
      `const client = new OpenAI({ baseURL: "${root}v1", apiKey: "none" });\n` +
      `const answer = await client.${call}(${JSON.stringify(body, null, 2)});\n` +
      `console.log(answer.${text});`
    );
  }
  const sent = body
    ? `, {\n  method: "POST",\n  headers: { "content-type": "application/json" },\n` +
      `  body: JSON.stringify(${JSON.stringify(body)}),\n}`
    : "";
  return `const response = await fetch("${url}"${sent});\nconsole.log(await response.text());`;
}
