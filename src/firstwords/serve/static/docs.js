// The API, drawn from the server's own description of it.

import { getDescription } from "./api.js";
import { element } from "./view.js";

const EXAMPLES = {
  "/v1/chat/completions": {
    messages: [{ role: "user", content: "Who are you?" }],
    max_tokens: 64,
  },
  "/v1/completions": { prompt: "Once upon a time", max_tokens: 32, logprobs: 3 },
};
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);

async function start() {
  const described = await getDescription();
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, call] of Object.entries(methods)) {
      page.calls.append(callNode(path, method.toUpperCase(), call));
    }
  }
  for (const [name, schema] of Object.entries(described.components.schemas)) {
    if (schema.properties) page.schemas.append(schemaNode(name, schema));
  }
}

function callNode(path, method, call) {
  const title = element("h3", {}, element("span", { class: "method" }, method), ` ${path}`);
  const node = element("section", {}, title, element("p", {}, call.description ?? ""));
  const body = call.requestBody?.content["application/json"]?.schema;
  if (body) node.append(element("p", {}, "Body: ", ...typeOf(body)));
  for (const parameter of call.parameters ?? []) {
    node.append(element("p", {}, `In the ${parameter.in}: `, element("code", {}, parameter.name)));
  }
  node.append(element("pre", { tabindex: "0" }, element("code", {}, curl(path, method))));
  return node;
}

function curl(path, method) {
  const address = new URL(path.slice(1).replace(/{(\w+)}/, (_, name) => name.toUpperCase()), document.baseURI);
  if (method === "GET") return `curl ${address}`;
  const body = JSON.stringify(EXAMPLES[path] ?? {});
  return `curl ${address} -H 'content-type: application/json' \\\n  -d '${body}'`;
}

function schemaNode(name, schema) {
  const rows = Object.entries(schema.properties).map(([field, of]) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, field)),
      element("td", {}, ...typeOf(of)),
      element("td", {}, schema.required?.includes(field) ? "required" : shown(of.default)),
    ),
  );
  const head = element("tr", {}, ...["field", "type", "default"].map((n) => element("th", { scope: "col" }, n)));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  const title = element("h3", { id: name }, name);
  const text = element("p", {}, schema.description ?? "");
  return element("section", {}, title, text, element("div", { class: "wide", tabindex: "0" }, table));
}

const shown = (value) => (value === undefined || value === null ? "" : JSON.stringify(value));

// A JSON schema in a few words, as nodes.
function typeOf(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [element("a", { href: `#${name}` }, name)];
  }
  const choices = schema.anyOf?.filter((choice) => choice.type !== "null");
  if (choices) return choices.flatMap((choice, i) => [...(i ? [" or "] : []), ...typeOf(choice)]);
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items ?? {})];
  const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (values) return [values.map(shown).join(" or ")];
  return [[schema.type ?? "anything", ...bounds(schema)].join(" ")];
}

function bounds(schema) {
  const words = {
    minimum: "from",
    exclusiveMinimum: "more than",
    maximum: "to",
    exclusiveMaximum: "below",
  };
  return Object.entries(words)
    .filter(([key]) => key in schema)
    .map(([key, word]) => `${word} ${schema[key]}`);
}

start().catch((error) => {
  page.status.textContent = `The server does not answer: ${error.message}`;
});
