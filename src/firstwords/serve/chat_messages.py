"""From the messages of a request to the conversation that a model reads.

The models know a system message, which comes first, and then user and assistant in turn; calls of
tools are part of what the assistant says. Clients send more: several system messages, two messages
of one role in a row, results of tools as messages, and answers whose calls are in other fields.
"""

from firstwords.serve.errors import ApiError
from firstwords.serve.schema import AnswerCall, ChatMessage
from firstwords.tokenizer.bpe import TOOL_CALL, TOOL_CALL_END, TOOL_RESPONSE, TOOL_RESPONSE_END
from firstwords.tokenizer.chat_format import Messages


def to_conversation(messages: list[ChatMessage]) -> Messages:
    """Return the conversation. A last message of the assistant is one that the model continues.

    Raises ApiError if it has no message of the user, or the result of an unknown call.
    """
    system: list[str] = []
    turns: Messages = []
    calls: dict[str, str] = {}  # by id
    for number, message in enumerate(messages):
        if message.role in ("system", "developer"):
            system.append(message.text)
        elif message.role == "tool":
            if (call := calls.pop(message.tool_call_id or "", None)) is None:
                where = f"messages[{number}].tool_call_id"
                problem = "belongs to no tool call of an assistant message before it"
                raise ApiError(400, f"{where} {problem}", param=where)
            _append(turns, "assistant", tool_block(call, message.text), separator="")
        else:
            text = with_calls(message.text, message.answer_calls)
            after_call = message.role == "assistant" and _ends_with_call(turns)
            _append(turns, message.role, text, "" if after_call else "\n\n")
            calls |= {call.id: call.text for call in message.tool_calls or []}
    if all(turn["role"] != "user" for turn in turns):
        raise ApiError(400, "messages has no message of the role user", param="messages")
    head = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    return head + turns


def _append(turns: Messages, role: str, text: str, separator: str) -> None:
    """Append a message, or its text to the last message if that has the same role."""
    if turns and turns[-1]["role"] == role:
        before = turns[-1]["content"]
        turns[-1]["content"] = before + (separator if before and text else "") + text
    else:
        turns.append({"role": role, "content": text})


def _ends_with_call(turns: Messages) -> bool:
    return bool(turns) and turns[-1]["content"].endswith(TOOL_RESPONSE_END)


def tool_block(call: str, result: str) -> str:
    """Return a call as it is part of the assistant's text."""
    return f"{TOOL_CALL}{call}{TOOL_CALL_END}{TOOL_RESPONSE}{result}{TOOL_RESPONSE_END}"


def with_calls(content: str, calls: list[AnswerCall]) -> str:
    """Return an answer's content with the calls that its response listed beside it."""
    for call in sorted(calls, key=lambda call: call.offset, reverse=True):
        block = tool_block(call.input, call.output)
        content = content[: call.offset] + block + content[call.offset :]
    return content
