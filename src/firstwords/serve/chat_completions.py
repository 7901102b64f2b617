"""POST /v1/chat/completions: answers to conversations."""

import secrets
from collections.abc import Iterator
from typing import Any

from firstwords.inference.chat import fit_prompt
from firstwords.serve.errors import ApiError
from firstwords.serve.model_pool import LoadedModel
from firstwords.serve.model_worker import NO_LOGPROBS, GenerationDelta, TokenLogprob
from firstwords.serve.responses import JobSpec, ResponseBuilder
from firstwords.serve.schema import ChatRequest
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.chat_format import Messages


class ChatResponseBuilder(ResponseBuilder):
    """Builds the response to a chat request."""

    def __init__(self, request: ChatRequest, name: str, model: LoadedModel) -> None:
        super().__init__("chatcmpl", request.stream_options, name, model)
        self.request = request
        self.prompt = fit_prompt(model.tokenizer, to_messages(request), model.context)
        self.n_prompt_tokens = len(self.prompt.ids)

    def job_specs(self) -> Iterator[JobSpec]:
        request = self.request
        seed = secrets.randbits(31) if request.seed is None else request.seed
        max_tokens = request.max_completion_tokens or request.max_tokens or self.model.context
        top_logprobs = (request.top_logprobs or 0) if request.logprobs else NO_LOGPROBS
        for choice in range(request.n or 1):
            sampling = request.sampling(max_tokens, seed + choice)
            yield JobSpec(self.prompt.ids, sampling, top_logprobs)

    def chunk_fields(self) -> dict[str, Any]:
        return self._fields("chat.completion.chunk")

    def first_chunks(self) -> list[dict[str, Any]]:
        role = {"role": "assistant", "content": ""}
        return [self._chunk(choice, role, None, None) for choice in range(len(self.jobs))]

    def chunk(self, choice: int, delta: GenerationDelta) -> dict[str, Any] | None:
        if not (delta.text or delta.finish_reason or delta.logprobs):
            return None
        content = {"content": delta.text} if delta.text or delta.logprobs else {}
        return self._chunk(choice, content, self._logprobs(delta.logprobs), delta.finish_reason)

    def document(self, deltas: list[list[GenerationDelta]]) -> dict[str, Any]:
        choices = []
        for index, choice_deltas in enumerate(deltas):
            text = "".join(delta.text for delta in choice_deltas)
            logprobs = [logprob for delta in choice_deltas for logprob in delta.logprobs]
            choices.append(
                {
                    "index": index,
                    "message": {"role": "assistant", "content": text.strip()},
                    "logprobs": self._logprobs(logprobs),
                    "finish_reason": choice_deltas[-1].finish_reason,
                }
            )
        return {**self._fields("chat.completion"), "choices": choices, "usage": self.usage()}

    def _fields(self, kind: str) -> dict[str, Any]:
        fields = {"id": self.id, "object": kind, "created": self.created, "model": self.name}
        if self.prompt.n_dropped or self.prompt.truncated:
            fields["firstwords"] = {
                "dropped_messages": self.prompt.n_dropped,
                "truncated": self.prompt.truncated,
            }
        return fields

    def _chunk(
        self, choice: int, delta: dict[str, Any], logprobs: Any, finish_reason: str | None
    ) -> dict[str, Any]:
        fields = {
            "index": choice,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return {**self.chunk_fields(), "choices": [fields]}

    def _logprobs(self, logprobs: list[TokenLogprob]) -> dict[str, Any] | None:
        if not self.request.logprobs:
            return None
        tokenizer = self.model.tokenizer
        return {
            "content": [
                {
                    **token_fields(tokenizer, sampled.token, sampled.logprob),
                    "top_logprobs": [token_fields(tokenizer, *entry) for entry in sampled.top],
                }
                for sampled in logprobs
            ],
            "refusal": None,
        }


def token_fields(tokenizer: Tokenizer, token: int, logprob: float) -> dict[str, Any]:
    """Return a token in OpenAI's format: its text, log-probability and bytes."""
    raw = tokenizer.token_bytes(token)
    return {"token": raw.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(raw)}


def to_messages(request: ChatRequest) -> Messages:
    """Return the conversation in the order the model was trained on.

    A system message comes first, then user and assistant take turns; consecutive messages of one
    role are joined. Raises ApiError for any other order.
    """
    messages: Messages = []
    for message in request.messages:
        role = "system" if message.role == "developer" else message.role
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n\n{message.text}"
        elif role == "system" and messages:
            raise ApiError(400, "a system message must be the first message", param="messages")
        else:
            messages.append({"role": role, "content": message.text})
    if messages[-1]["role"] != "user":
        raise ApiError(400, "the last message must be from the user", param="messages")
    return messages
