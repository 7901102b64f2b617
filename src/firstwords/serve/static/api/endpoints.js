// The API page, built from the server's OpenAPI description.

import { getOpenApi, listModels } from "../shared/api.js";
import { element } from "../shared/dom.js";
import { loadSettings } from "../shared/storage.js";
import { CodeBlock } from "./code_block.js";
import { LANGUAGES, example, root } from "./examples.js";
import { proseNodes, schemaNode, typeOf } from "./schemas.js";
import { startTryIt } from "./try_it.js";

const FIRST = ["/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/models/{name}"];
const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((node) => [node.id, node]),
);
const blocks = []; // {block, path, method}

async function start() {
  const base = new CodeBlock("the base URL");
  base.show(`${root}v1`);
  page.base.append(base.node);
  page.start.append(exampleBlock(FIRST[0], "POST", "the first example"));
  page.languages.append(...Object.entries(LANGUAGES).map(languageChoice));
  showExamples("curl");
  const openApi = await getOpenApi();
  for (const [path, methods] of sorted(openApi.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      addEndpoint(path, method.toUpperCase(), operation);
    }
  }
  showExamples("curl");
  for (const [name, schema] of Object.entries(openApi.components.schemas)) {
    const isBody = schema.properties && !name.includes("Validation"); // errors of FastAPI's own
    if (isBody) page.schemas.append(schemaNode(name, schema));
  }
  startTryIt(
    { ...page, node: page.try },
    await listModels(loadSettings().key).catch(() => []), // as the server has a key, for example
  );
}

// Chat first, and what /v1 does not have last.
function sorted(paths) {
  const rank = ([path]) => {
    const place = FIRST.indexOf(path);
    if (place >= 0) return place;
    return path.startsWith("/v1/") ? FIRST.length : FIRST.length + 1;
  };
  return Object.entries(paths).sort((a, b) => rank(a) - rank(b));
}

function languageChoice([language, title], index) {
  const id = `language-${language}`;
  const radio = element("input", { type: "radio", name: "language", id });
  radio.checked = index === 0;
  radio.addEventListener("change", () => showExamples(language));
  return element("span", {}, radio, " ", element("label", { for: id }, title));
}

function showExamples(language) {
  for (const { block, path, method } of blocks) block.show(example(language, path, method));
}

function exampleBlock(path, method, label) {
  const block = new CodeBlock(label);
  blocks.push({ block, path, method });
  return block.node;
}

function addEndpoint(path, method, operation) {
  const id = `${method}${path}`.replace(/[^\w]+/g, "-").replace(/-$/, "");
  const name = `${method} ${path}`;
  page.contents.append(element("li", {}, element("a", { href: `#${id}` }, name)));
  const title = element("h3", { id }, element("span", { class: "method" }, method), ` ${path}`);
  const about = element("p", {}, ...proseNodes(operation.description ?? ""));
  const node = element("section", {}, title, about);
  const body = operation.requestBody?.content["application/json"]?.schema;
  if (body) node.append(element("p", {}, "Body: ", ...typeOf(body)));
  for (const parameter of operation.parameters ?? []) {
    const text = `${parameter.in === "path" ? "Path" : "Query"} parameter: `;
    node.append(element("p", {}, text, element("code", {}, parameter.name)));
  }
  node.append(exampleBlock(path, method, `the example of ${name}`));
  page.endpoints.append(node);
}

start().catch((error) => {
  page.status.textContent = `Cannot load the description of the API: ${error.message}.`;
});
