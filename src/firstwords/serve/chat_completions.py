"""POST /v1/chat/completions: answers to conversations."""

import secrets
from collections.abc import Iterator
from typing import Any

from firstwords.inference.chat import fit_prompt
from firstwords.serve.chat_answer import ChatAnswer, stripped
from firstwords.serve.chat_messages import to_conversation
from firstwords.serve.model_pool import LoadedModel
from firstwords.serve.model_worker import NO_LOGPROBS, GenerationDelta, TokenLogprob
from firstwords.serve.responses import JobSpec, ResponseBuilder
from firstwords.serve.schema import ChatRequest
from firstwords.tokenizer.bpe import Tokenizer


class ChatResponseBuilder(ResponseBuilder):
    """Builds the response to a chat request."""

    def __init__(self, request: ChatRequest, name: str, model: LoadedModel) -> None:
        super().__init__("chatcmpl", request, name, model)
        self.request = request
        messages = to_conversation(request.messages)
        begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
        self.continues = bool(begun.strip())
        self.after_space = self.continues and begun != begun.rstrip()
        self.prompt = fit_prompt(model.tokenizer, messages, model.context)
        self.n_prompt_tokens = len(self.prompt.ids)
        self.answers = [self._new_answer() for _ in range(request.n or 1)]

    def _new_answer(self) -> ChatAnswer:
        return ChatAnswer(bool(self.request.tool_calls_as_text), self.after_space)

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
        return [
            {**self._chunk(choice, role, None), "firstwords": self.firstwords()}
            for choice in range(len(self.jobs))
        ]

    def chunk(self, choice: int, delta: GenerationDelta) -> dict[str, Any] | None:
        fields = self.answers[choice].feed(delta.events)
        logprobs = self._shown_logprobs([delta])
        if not (fields or delta.finish_reason or logprobs):
            return None
        if logprobs:
            fields = {"content": "", **fields}
        chunk = self._chunk(choice, fields, self._logprobs(logprobs))
        return self.finished_chunk(chunk, delta) if delta.finish_reason else chunk

    def document(self, deltas: list[list[GenerationDelta]]) -> dict[str, Any]:
        choices = []
        for index, choice_deltas in enumerate(deltas):
            events = [event for delta in choice_deltas for event in delta.events]
            fields = stripped(self.answers[index].feed(events), self.continues)
            choices.append(
                {
                    "index": index,
                    "message": {"role": "assistant", **fields},
                    "logprobs": self._logprobs(self._shown_logprobs(choice_deltas)),
                    **self.ending(choice_deltas[-1]),
                }
            )
        return {
            **self._fields("chat.completion"),
            "choices": choices,
            "usage": self.usage(),
            "firstwords": self.firstwords(),
        }

    def firstwords(self) -> dict[str, Any]:
        dropped = {"dropped_messages": self.prompt.n_dropped, "cut": self.prompt.truncated}
        return {**super().firstwords(), **dropped}

    def _fields(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.name}

    def _chunk(self, choice: int, delta: dict[str, Any], logprobs: Any) -> dict[str, Any]:
        fields = {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": None}
        return {**self.chunk_fields(), "choices": [fields]}

    def _shown_logprobs(self, deltas: list[GenerationDelta]) -> list[TokenLogprob]:
        """Return the log-probabilities of the tokens that `content` has."""
        shown = [d for d in deltas if self.request.tool_calls_as_text or not d.in_call]
        return [logprob for delta in shown for logprob in delta.logprobs]

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
