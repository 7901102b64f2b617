"""POST /v1/completions: continuations of plain text, with the log-probabilities that evaluation
harnesses request."""

import secrets
from collections.abc import Iterator
from typing import Any

from firstwords.serve.errors import ApiError
from firstwords.serve.model_pool import LoadedModel
from firstwords.serve.model_worker import NO_LOGPROBS, GenerationDelta, TokenLogprob
from firstwords.serve.responses import JobSpec, ResponseBuilder
from firstwords.serve.schema import CompletionRequest
from firstwords.tokenizer.bpe import END_OF_TEXT

DEFAULT_MAX_TOKENS = 16  # OpenAI's
NO_TOKENS = GenerationDelta([], [], finish_reason="length")  # of `max_tokens` 0


class CompletionResponseBuilder(ResponseBuilder):
    """Builds the response to a completion request."""

    def __init__(self, request: CompletionRequest, name: str, model: LoadedModel) -> None:
        super().__init__("cmpl", request, name, model)
        self.request = request
        self.max_tokens = DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens
        self.n_choices = request.n or 1  # of each prompt
        self.prompts = [self._encode(prompt) for prompt in request.prompts()]
        self.n_prompt_tokens = sum(map(len, self.prompts))
        self.prompt_logprobs: list[dict[str, Any] | None] = []
        if request.echo:
            self.prompt_logprobs = [self._logprobs_of_prompt(prompt) for prompt in self.prompts]

    def _encode(self, prompt: str | list[int]) -> list[int]:
        """Encode text as the beginning of a document; token ids are used unchanged."""
        tokenizer, context = self.model.tokenizer, self.model.context
        if isinstance(prompt, str):
            ids = [tokenizer.special(END_OF_TEXT), *tokenizer.encode(prompt)]
        else:
            ids = prompt
        if not ids:
            raise ApiError(400, "the prompt is empty", param="prompt")
        if any(token >= self.model.model.config.vocab_size for token in ids):
            raise ApiError(400, "the prompt has a token outside the vocabulary", param="prompt")
        room = context - min(self.max_tokens, 1)
        if len(ids) > room:
            message = (
                f"the prompt has {len(ids):,} tokens, but the model's context of {context:,} "
                f"tokens leaves room for {room:,}"
            )
            raise ApiError(400, message, code="context_length_exceeded", param="prompt")
        return ids

    def job_specs(self) -> Iterator[JobSpec]:
        request = self.request
        seed = secrets.randbits(31) if request.seed is None else request.seed
        top_logprobs = NO_LOGPROBS if request.logprobs is None else request.logprobs
        if self.max_tokens == 0:
            return
        for prompt in self.prompts:
            for choice in range(self.n_choices):
                sampling = request.sampling(self.max_tokens, seed + choice)
                yield JobSpec(prompt, sampling, top_logprobs)

    def first_chunks(self) -> list[dict[str, Any]]:
        if not self.request.echo:
            return []
        return [
            self._chunk(index, self._text(prompt), self._prompt_logprobs(index))
            for index, prompt in self._prompt_of_each_choice()
        ]

    def chunk(self, choice: int, delta: GenerationDelta) -> dict[str, Any] | None:
        if not (delta.text or delta.finish_reason or delta.logprobs):
            return None
        chunk = self._chunk(choice, delta.text, self._logprobs(delta.logprobs))
        return self.finished_chunk(chunk, delta) if delta.finish_reason else chunk

    def document(self, deltas: list[list[GenerationDelta]]) -> dict[str, Any]:
        choices = []
        for index, prompt in self._prompt_of_each_choice():
            choice_deltas = deltas[index] if deltas else []
            text = "".join(delta.text for delta in choice_deltas)
            logprobs = self._logprobs([lp for delta in choice_deltas for lp in delta.logprobs])
            if self.request.echo:
                text = self._text(prompt) + text
                logprobs = _concatenate(self._prompt_logprobs(index), logprobs)
            last = choice_deltas[-1] if choice_deltas else NO_TOKENS
            choices.append({**_choice(index, text, logprobs), **self.ending(last)})
        return {
            **self.chunk_fields(),
            "choices": choices,
            "usage": self.usage(),
            "firstwords": self.firstwords(),
        }

    def _prompt_of_each_choice(self) -> list[tuple[int, list[int]]]:
        repeated = [prompt for prompt in self.prompts for _ in range(self.n_choices)]
        return list(enumerate(repeated))

    def _prompt_logprobs(self, choice: int) -> dict[str, Any] | None:
        return self.prompt_logprobs[choice // self.n_choices]

    def _text(self, ids: list[int]) -> str:
        """Decode a prompt, without the start of document that `_encode` put before text."""
        start = self.model.tokenizer.special(END_OF_TEXT)
        if isinstance(self.request.prompts()[0], str) and ids[0] == start:
            ids = ids[1:]
        return self.model.tokenizer.decode(ids)

    def _logprobs_of_prompt(self, ids: list[int]) -> dict[str, Any] | None:
        """Return the log-probabilities of a prompt's tokens. The first token has none."""
        if self.request.logprobs is None:
            return None
        logprobs: list[TokenLogprob | None] = [None]
        if len(ids) > 1:
            logprobs_TV = self.model.logprobs(ids)
            for position, token in enumerate(ids[1:]):
                logprobs_V = logprobs_TV[position]
                values, tokens = logprobs_V.topk(self.request.logprobs)
                top = list(zip(tokens.tolist(), values.tolist(), strict=True))
                logprobs.append(TokenLogprob(token, float(logprobs_V[token]), top))
        return self._logprob_fields(ids, logprobs)

    def _logprobs(self, logprobs: list[TokenLogprob]) -> dict[str, Any] | None:
        if self.request.logprobs is None:
            return None
        return self._logprob_fields([entry.token for entry in logprobs], list(logprobs))

    def _logprob_fields(
        self, ids: list[int], logprobs: list[TokenLogprob | None]
    ) -> dict[str, Any]:
        texts = [self._token_text(token) for token in ids]
        offsets = [0]
        for text in texts:
            offsets.append(offsets[-1] + len(text))
        return {
            "tokens": texts,
            "token_logprobs": [entry.logprob if entry else None for entry in logprobs],
            "top_logprobs": [self._top(entry) if entry else None for entry in logprobs],
            "text_offset": offsets[:-1],
        }

    def _top(self, entry: TokenLogprob) -> dict[str, float]:
        return {self._token_text(token): logprob for token, logprob in entry.top}

    def _token_text(self, token: int) -> str:
        """Return a token's text, or OpenAI's notation `bytes:\\xNN` if it is not valid UTF-8."""
        raw = self.model.tokenizer.token_bytes(token)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)

    def chunk_fields(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.name,
        }

    def _chunk(self, choice: int, text: str, logprobs: Any) -> dict[str, Any]:
        return {**self.chunk_fields(), "choices": [_choice(choice, text, logprobs)]}


def _choice(index: int, text: str, logprobs: Any) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": None}


def _concatenate(
    prompt: dict[str, Any] | None, completion: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Join the log-probabilities of a prompt and of its completion."""
    if prompt is None or completion is None:
        return prompt or completion
    length = sum(map(len, prompt["tokens"]))
    joined = {name: prompt[name] + completion[name] for name in prompt}
    joined["text_offset"] = prompt["text_offset"] + [
        length + offset for offset in completion["text_offset"]
    ]
    return joined
