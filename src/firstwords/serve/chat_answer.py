"""An answer in the fields of OpenAI's messages.

The calculator has already computed a call when the client reads of it. So a call is not one of
OpenAI's `tool_calls`, which ask the client to run a tool (docs/decisions.md). It is in
`firstwords.tool_calls`, and a line of `reasoning_content`, which chat programs show beside the
answer.
"""

from typing import Any

from firstwords.inference.stream import AnswerEvent


class ChatAnswer:
    """Turns the events of one answer into fields, all at once or step by step.

    `as_text` leaves the calls in `content`, as the model writes them. `after_space` says that the
    answer continues a text that ends with white space, so it must not begin with more.
    """

    def __init__(self, as_text: bool, after_space: bool = False) -> None:
        self._as_text, self._after_space = as_text, after_space
        self._n_characters = self._n_calls = 0

    def feed(self, events: list[AnswerEvent]) -> dict[str, Any]:
        """Return the fields that these events add; `content` is there if anything is."""
        content = lines = ""
        calls: list[dict[str, Any]] = []
        for event in events:
            if event.kind == "text" or self._as_text:
                content += self._text(event.content)
            else:
                calls.append(self._call(event))
                lines += "\n" * (self._n_calls > 0) + f"{event.text} = {event.result}"
                self._n_calls += 1
        fields: dict[str, Any] = {"content": content} if content else {}
        if calls:
            fields |= {"reasoning_content": lines, "firstwords": {"tool_calls": calls}}
        return fields

    def _text(self, text: str) -> str:
        if self._after_space:
            text = text.lstrip()
            self._after_space = not text
        self._n_characters += len(text)
        return text

    def _call(self, event: AnswerEvent) -> dict[str, Any]:
        return {
            "name": "calculator",
            "input": event.text,
            "output": event.result,
            "offset": self._n_characters,
        }


def stripped(fields: dict[str, Any], continues: bool) -> dict[str, Any]:
    """Return the fields of a whole answer without white space around its content. An answer that
    continues a text keeps the space between them."""
    content = fields.get("content", "")
    text = content.rstrip() if continues else content.strip()
    n_before = 0 if continues else len(content) - len(content.lstrip())
    for call in fields.get("firstwords", {}).get("tool_calls", []):
        call["offset"] = min(max(0, call["offset"] - n_before), len(text))
    return {**fields, "content": text}
