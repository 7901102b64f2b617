"""Fields of requests that this server does not support.

A field that would make the answer another one is refused. All others are listed in the response, as
`firstwords.ignored`. A value that asks for what the server does anyway is neither.
"""

from typing import Any

from firstwords.serve.errors import ApiError
from firstwords.serve.invalid_fields import printable

DEFAULTS: dict[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True, False),  # Open WebUI's, if the last message is an answer
    "best_of": (1,),
    "continue_final_message": (True,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
}
NO_TOOLS = "the model calls only its own calculator; send 'auto' or 'none'"
NO_FORMAT = "the model writes plain text and cannot be held to a format; describe it in a message"
REFUSED = {
    "audio": "the model writes text only",
    "best_of": "send n for several answers",
    "function_call": NO_TOOLS,
    "grammar": NO_FORMAT,
    "guided_choice": NO_FORMAT,
    "guided_grammar": NO_FORMAT,
    "guided_json": NO_FORMAT,
    "guided_regex": NO_FORMAT,
    "json_schema": NO_FORMAT,
    "logit_bias": "ban or prefer words in a message instead",
    "modalities": "the model writes text only",
    "response_format": NO_FORMAT,
    "structured_outputs": NO_FORMAT,
    "suffix": "the model only continues a text",
    "tool_choice": NO_TOOLS,
    "web_search_options": "the model has no access to the web",
}


def ignored_fields(fields: dict[str, Any] | None) -> list[str]:
    """Return the names of those fields that the server ignores. Raises ApiError for one that it
    must not ignore."""
    ignored = []
    for name, value in (fields or {}).items():
        if value is None or value in DEFAULTS.get(name, ()):
            continue
        if name in REFUSED:
            raise ApiError(400, f"{name} is not supported: {REFUSED[name]}", param=name)
        ignored.append(printable(name))
    return ignored
