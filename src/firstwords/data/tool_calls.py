"""Write the tool calls of OpenAI's format into the assistant's message, as Firstwords has them.

There, a call is a field of a message, the tool's response is the next message and the answer one
more. Here, all three are the content of one message (`tokenizer/chat_format.py`). The only tool is
the calculator.
"""

import itertools
import json
from typing import Any

from firstwords.tokenizer.chat_format import (
    TOOL_CALL,
    TOOL_CALL_END,
    TOOL_RESPONSE,
    TOOL_RESPONSE_END,
    InvalidConversation,
    json_type,
)

CALCULATORS = ("calculator", "calculate", "calc")


def inline_tool_calls(messages: list[Any]) -> list[Any]:
    """Return the messages with calls and responses inside the assistant's.

    Raises InvalidConversation for a tool that Firstwords does not have, and for a call without a
    response or the other way round.
    """
    inlined: list[Any] = []
    numbered = enumerate(messages, 1)
    for is_turn, group in itertools.groupby(numbered, lambda pair: _is_of_assistant(pair[1])):
        turn = list(group)
        if is_turn and any(m.get("tool_calls") or m["role"] == "tool" for _, m in turn):
            inlined.append({"role": "assistant", "content": _joined_turn(turn)})
        else:
            inlined += [message for _, message in turn]
    return inlined


def _is_of_assistant(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in ("assistant", "tool")


def _joined_turn(turn: list[tuple[int, dict[str, Any]]]) -> str:
    """Return what the assistant and its tools write until the user does."""
    content = ""
    expressions: dict[str, str] = {}  # of the calls without a response, by id
    for number, message in turn:
        text = message.get("content")
        if message["role"] == "tool":
            expression = expressions.pop(str(message.get("tool_call_id")), None)
            if expression is None:
                raise InvalidConversation(f"message {number} is a response without a tool call")
            if not isinstance(text, str):
                raise InvalidConversation(f"message {number} has no text ({json_type(text)})")
            content += f"{TOOL_CALL}{expression}{TOOL_CALL_END}"
            content += f"{TOOL_RESPONSE}{text}{TOOL_RESPONSE_END}"
            continue
        content += text if isinstance(text, str) else ""
        expressions |= dict(_expression(call, number) for call in message.get("tool_calls") or [])
    if expressions:
        raise InvalidConversation("a tool call has no response")
    return content


def _expression(call: Any, number: int) -> tuple[str, str]:
    """Return the id of a call and the expression that the calculator is given."""
    try:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        values = list(json.loads(arguments).values())
        call_id = str(call["id"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidConversation(f"message {number} has a tool call that is not valid") from None
    if name not in CALCULATORS:
        raise InvalidConversation(
            f"message {number} calls the tool {str(name)[:50]!r}, but the only one is a calculator"
        )
    if len(values) != 1 or not isinstance(values[0], str):
        raise InvalidConversation(f"message {number} calls the calculator without one expression")
    return call_id, values[0]
