// The tables of the fields of request bodies, from JSON schemas.

import { element } from "../shared/dom.js";

export function schemaNode(name, schema) {
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
  const region = { class: "wide", tabindex: "0", role: "region", "aria-label": `Fields of ${name}` };
  return element(
    "section",
    {},
    element("h3", { id: name }, name),
    element("p", {}, ...proseNodes(schema.description ?? "")),
    element("div", region, table),
  );
}

// Text with `code` in it, as nodes.
export function proseNodes(text) {
  return text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));
}

const formatValue = (value) => (value === undefined || value === null ? "" : JSON.stringify(value));

// A short description of a JSON schema, as nodes.
export function typeOf(schema) {
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
