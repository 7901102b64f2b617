"""Calculator calls in a model's answer: as a reader sees them, instead of as special tokens."""

import html
import re

CALL = re.compile(
    r"<tool_call>(.*?)</tool_call><tool_response>(.*?)</tool_response>", flags=re.DOTALL
)


def describe_tool_calls(text: str) -> str:
    """Return text with each call as `[12*34 = 408] `."""
    return CALL.sub(r"[\1 = \2] ", text)


def render_tool_calls(text: str) -> str:
    """Return text as HTML: each call is a chip, everything else is escaped."""
    pieces = CALL.split(text)  # text, expression, result, text, ...
    shown = [html.escape(pieces[0])]
    for expression, result, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        kind = "tool error" if result == "error" else "tool"
        call = html.escape(f"{expression} = {result}")
        shown.append(f'<span class="{kind}">{call}</span> {html.escape(after)}')
    return "".join(shown)
