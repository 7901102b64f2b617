"""POST /v1/chat/completions."""

import secrets
from collections.abc import Iterator
from typing import Any

from firstwords.conversation import Messages
from firstwords.inference.chat import fit_prompt
from firstwords.inference.sampling import Sampling
from firstwords.serve.errors import ApiError
from firstwords.serve.models import Loaded
from firstwords.serve.schema import ChatRequest
from firstwords.serve.stream import Answering
from firstwords.serve.worker import Delta, TokenInfo
from firstwords.tokenizer import Tokenizer


class ChatAnswering(Answering):
    def __init__(self, asked: ChatRequest, name: str, model: Loaded) -> None:
        super().__init__("chatcmpl", asked.stream_options, name, model)
        self.asked = asked
        prompt = fit_prompt(model.tokenizer, conversation(asked), model.context)
        self.prompt, self.dropped, self.cut = prompt.ids, prompt.dropped, prompt.cut
        self.prompt_tokens = len(prompt.ids)

    def prepare(self) -> None:
        pass

    def wanted(self) -> Iterator[tuple[list[int], Sampling, int]]:
        asked = self.asked
        seed = secrets.randbits(31) if asked.seed is None else asked.seed
        most = asked.max_completion_tokens or asked.max_tokens or self.model.context
        top = (asked.top_logprobs or 0) if asked.logprobs else -1
        for number in range(asked.n or 1):
            yield self.prompt, asked.sampling(most, seed + number), top

    def head(self) -> dict[str, Any]:
        return self._head("chat.completion.chunk")

    def opening(self) -> list[dict[str, Any]]:
        role = {"role": "assistant", "content": ""}
        return [self._chunk(number, role, None, None) for number in range(len(self.jobs))]

    def chunk(self, choice: int, delta: Delta) -> dict[str, Any] | None:
        text = "".join(event.content for event in delta.events)
        if not (text or delta.reason or delta.tokens):
            return None
        shown = {"content": text} if text or delta.tokens else {}
        return self._chunk(choice, shown, self._logprobs(delta.tokens), delta.reason)

    def whole(self, deltas: list[list[Delta]]) -> dict[str, Any]:
        choices = []
        for number, of_choice in enumerate(deltas):
            text = "".join(event.content for delta in of_choice for event in delta.events)
            tokens = [token for delta in of_choice for token in delta.tokens]
            choices.append(
                {
                    "index": number,
                    "message": {"role": "assistant", "content": text.strip()},
                    "logprobs": self._logprobs(tokens),
                    "finish_reason": of_choice[-1].reason,
                }
            )
        return {**self._head("chat.completion"), "choices": choices, "usage": self.usage()}

    def _head(self, kind: str) -> dict[str, Any]:
        head = {"id": self.id, "object": kind, "created": self.created, "model": self.name}
        if self.dropped or self.cut:
            head["firstwords"] = {"dropped_messages": self.dropped, "cut": self.cut}
        return head

    def _chunk(
        self, choice: int, delta: dict[str, Any], logprobs: Any, reason: str | None
    ) -> dict[str, Any]:
        shown = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return {**self.head(), "choices": [shown]}

    def _logprobs(self, tokens: list[TokenInfo]) -> dict[str, Any] | None:
        if not self.asked.logprobs:
            return None
        tokenizer = self.model.tokenizer
        return {
            "content": [
                {
                    **written(tokenizer, info.token, info.nats),
                    "top_logprobs": [written(tokenizer, token, nats) for token, nats in info.top],
                }
                for info in tokens
            ],
            "refusal": None,
        }


def written(tokenizer: Tokenizer, token: int, nats: float) -> dict[str, Any]:
    """A token as OpenAI shows it: its text, log-probability and bytes."""
    raw = tokenizer.token_bytes(token)
    return {"token": raw.decode("utf-8", "replace"), "logprob": nats, "bytes": list(raw)}


def conversation(asked: ChatRequest) -> Messages:
    """The messages, in the order that the model knows: a system message first, then user and
    assistant in turn. Messages of one speaker in a row are joined."""
    messages: Messages = []
    for message in asked.messages:
        role = "system" if message.role == "developer" else message.role
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n\n{message.text}"
        elif role == "system" and messages:
            raise ApiError(400, "a system message must be the first", param="messages")
        else:
            messages.append({"role": role, "content": message.text})
    if messages[-1]["role"] != "user":
        raise ApiError(400, "the last message must be the user's", param="messages")
    return messages
