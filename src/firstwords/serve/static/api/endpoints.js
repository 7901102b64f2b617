// The API page, built from the server's OpenAPI description.

import { getOpenApi } from "../shared/api.js";
import { element } from "../shared/dom.js";

const EXAMPLES = {
  "/v1/chat/completions": {
    messages: [{ role: "user", content: "Who are you?" }],
    max_tokens: 64,
  },
  "/v1/completions": { prompt: "Once upon a time", max_tokens: 32, logprobs: 3 },
  "/xray/inspect": { text: "The old fox", generate: 8 },
};
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);

async function start() {
  const openApi = await getOpenApi();
  for (const [path, methods] of Object.entries(openApi.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      page.endpoints.append(endpointNode(path, method.toUpperCase(), operation));
    }
  }
  for (const [name, schema] of Object.entries(openApi.components.schemas)) {
    if (schema.properties) page.schemas.append(schemaNode(name, schema));
  }
}

function endpointNode(path, method, operation) {
  const title = element("h3", {}, element("span", { class: "method" }, method), ` ${path}`);
  const node = element("section", {}, title, element("p", {}, operation.description ?? ""));
  const body = operation.requestBody?.content["application/json"]?.schema;
  if (body) node.append(element("p", {}, "Body: ", ...typeOf(body)));
  for (const parameter of operation.parameters ?? []) {
    const text = `${parameter.in === "path" ? "Path" : "Query"} parameter: `;
    node.append(element("p", {}, text, element("code", {}, parameter.name)));
  }
  node.append(element("pre", { tabindex: "0" }, element("code", {}, curlCommand(path, method))));
  return node;
}

function curlCommand(path, method) {
  const relative = path.slice(1).replace(/{(\w+)}/, (_, name) => name.toUpperCase());
  const url = new URL(`../${relative}`, document.baseURI);
  if (method === "GET") return `curl ${url}`;
  const body = JSON.stringify(EXAMPLES[path] ?? {});
  return `curl ${url} -H 'content-type: application/json' \\\n  -d '${body}'`;
}

function schemaNode(name, schema) {
  const rows = Object.entries(schema.properties).map(([field, fieldSchema]) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, field)),
      element("td", {}, ...typeOf(fieldSchema)),
      element(
        "td",
        {},
        schema.required?.includes(field) ? "required" : formatValue(fieldSchema.default),
      ),
    ),
  );
  const titles = ["field", "type", "default"].map((title) =>
    element("th", { scope: "col" }, title),
  );
  const head = element("thead", {}, element("tr", {}, ...titles));
  const table = element("table", {}, head, element("tbody", {}, ...rows));
  return element(
    "section",
    {},
    element("h3", { id: name }, name),
    element("p", {}, schema.description ?? ""),
    element("div", { class: "wide", tabindex: "0" }, table),
  );
}

const formatValue = (value) => (value === undefined || value === null ? "" : JSON.stringify(value));

// A short description of a JSON schema, as nodes.
function typeOf(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return [element("a", { href: `#${name}` }, name)];
  }
  const choices = schema.anyOf?.filter((choice) => choice.type !== "null");
  if (choices) return choices.flatMap((choice, i) => [...(i ? [" or "] : []), ...typeOf(choice)]);
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items ?? {})];
  const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (values) return [values.map(formatValue).join(" or ")];
  return [[schema.type ?? "any type", ...boundsOf(schema)].join(" ")];
}

function boundsOf(schema) {
  const symbols = {
    minimum: "≥",
    exclusiveMinimum: ">",
    maximum: "≤",
    exclusiveMaximum: "<",
  };
  return Object.entries(symbols)
    .filter(([keyword]) => keyword in schema)
    .map(([keyword, symbol]) => `${symbol} ${schema[keyword]}`);
}

start().catch((error) => {
  page.status.textContent = `Cannot reach the server: ${error.message}`;
});
