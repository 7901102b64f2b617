"""The reference page of the HTTP API, generated from the server's OpenAPI document."""

import re
from typing import Any

from reference import cell, page

from firstwords.common.markdown import table
from firstwords.serve.app import ServerLimits, create_app


def api() -> str:
    """Return the page of all endpoints and the schemas of their bodies."""
    document = create_app(None, ServerLimits()).openapi()  # type: ignore[arg-type]
    calls = [
        (path, method.upper(), call)
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    ]
    rows = [
        [f"`{method} {path}`", cell(call.get("description", "")), _body(call)]
        for path, method, call in calls
    ]
    used = dict.fromkeys(name for _, _, call in calls for name in _schemas(call))
    schemas = document["components"]["schemas"]
    inner = [n for n in schemas if n not in used and "Validation" not in n]
    return page(
        "API",
        "The HTTP API of `firstwords serve`. The paths under `/v1` follow OpenAI's API, so OpenAI "
        "clients work unchanged ([how](../how-to/clients.md)). A running server publishes its "
        "OpenAPI document at `/openapi.json`. A field with a wrong value gets an error that names "
        "it; [fields without effect](../how-to/clients.md#fields) are listed in the response.",
        table(["endpoint", "purpose", "body"], rows),
        *(_schema(name, schemas[name]) for name in [*used, *inner]),
    )


def _schemas(call: dict[str, Any]) -> list[str]:
    body = str(call.get("requestBody", {}))
    return re.findall(r"#/components/schemas/(\w+)", body)


def _body(call: dict[str, Any]) -> str:
    return ", ".join(f"[{name}](#{name.lower()})" for name in _schemas(call))


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = [
        [
            f"`{field}`",
            _type(of),
            "required" if field in required else f"`{of['default']}`" if of.get("default") else "",
        ]
        for field, of in schema.get("properties", {}).items()
    ]
    text = " ".join(schema.get("description", "").split())
    parts = [f"## {name}", text, table(["field", "type", "default"], rows)]
    return "\n\n".join(part for part in parts if part)


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a JSON schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(_type(s) for s in schema["anyOf"] if s.get("type") != "null")
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return " or ".join(f'`"{v}"`' for v in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    words = {
        "minimum": "from",
        "exclusiveMinimum": "more than",
        "maximum": "to",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{word} {_number(schema[key])}" for key, word in words.items() if key in schema]
    return " ".join([schema.get("type", "anything"), *bounds])


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else str(value)
