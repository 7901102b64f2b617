"""POST /v1/completions: plain text, with the likelihoods that evaluation harnesses ask for."""

import secrets
from collections.abc import Iterator
from typing import Any

from firstwords.inference.sampling import Sampling
from firstwords.serve.errors import ApiError
from firstwords.serve.models import Loaded
from firstwords.serve.schema import CompletionRequest
from firstwords.serve.stream import Answering
from firstwords.serve.worker import Delta, TokenInfo
from firstwords.tokenizer import END_OF_TEXT


class CompletionAnswering(Answering):
    def __init__(self, asked: CompletionRequest, name: str, model: Loaded) -> None:
        super().__init__("cmpl", asked.stream_options, name, model)
        self.asked = asked
        self.most = 16 if asked.max_tokens is None else asked.max_tokens
        self.choices = asked.n or 1  # of each prompt
        self.scores: list[dict[str, Any] | None] = []
        self.prompts = [self._ids(prompt) for prompt in asked.prompts()]
        self.prompt_tokens = sum(map(len, self.prompts))

    def _ids(self, prompt: str | list[int]) -> list[int]:
        """Text begins like a document; tokens are taken as they are."""
        tokenizer, context = self.model.tokenizer, self.model.context
        if isinstance(prompt, str):
            ids = [tokenizer.special(END_OF_TEXT), *tokenizer.encode(prompt)]
        else:
            ids = prompt
        if not ids:
            raise ApiError(400, "the prompt is empty", param="prompt")
        if any(token >= self.model.model.config.vocab_size for token in ids):
            raise ApiError(400, "a token is not in the vocabulary", param="prompt")
        if len(ids) + min(self.most, 1) > context:
            message = f"the prompt has {len(ids):,} tokens, and the model reads {context:,} at most"
            raise ApiError(400, message, code="context_length_exceeded", param="prompt")
        return ids

    def prepare(self) -> None:
        if self.asked.echo:
            self.scores = [self._scored(prompt) for prompt in self.prompts]

    def wanted(self) -> Iterator[tuple[list[int], Sampling, int]]:
        seed = secrets.randbits(31) if self.asked.seed is None else self.asked.seed
        top = -1 if self.asked.logprobs is None else self.asked.logprobs
        if self.most == 0:
            return
        for prompt in self.prompts:
            for number in range(self.choices):
                yield prompt, self.asked.sampling(self.most, seed + number), top

    def opening(self) -> list[dict[str, Any]]:
        if not self.asked.echo:
            return []
        return [
            self._chunk(number, self._text(prompt), self.scores[number // self.choices], None)
            for number, prompt in self._numbered()
        ]

    def chunk(self, choice: int, delta: Delta) -> dict[str, Any] | None:
        text = "".join(event.content for event in delta.events)
        if not (text or delta.reason or delta.tokens):
            return None
        return self._chunk(choice, text, self._logprobs(delta.tokens), delta.reason)

    def whole(self, deltas: list[list[Delta]]) -> dict[str, Any]:
        choices = []
        for number, prompt in self._numbered():
            of_choice = deltas[number] if deltas else []
            text = "".join(event.content for delta in of_choice for event in delta.events)
            tokens = [token for delta in of_choice for token in delta.tokens]
            logprobs = self._logprobs(tokens)
            if self.asked.echo:
                text = self._text(prompt) + text
                logprobs = _joined(self.scores[number // self.choices], logprobs)
            reason = of_choice[-1].reason if of_choice else "length"
            choices.append(_choice(number, text, logprobs, reason))
        return {**self.head(), "choices": choices, "usage": self.usage()}

    def _numbered(self) -> list[tuple[int, list[int]]]:
        """The choices, and the prompt of each."""
        repeated = [prompt for prompt in self.prompts for _ in range(self.choices)]
        return list(enumerate(repeated))

    def _text(self, ids: list[int]) -> str:
        start = self.model.tokenizer.special(END_OF_TEXT)
        own = ids[1:] if isinstance(self.asked.prompts()[0], str) and ids[0] == start else ids
        return self.model.tokenizer.decode(own)

    def _scored(self, ids: list[int]) -> dict[str, Any] | None:
        """How likely each token of a prompt is; the first has nothing before it."""
        if self.asked.logprobs is None:
            return None
        infos: list[TokenInfo | None] = [None]
        if len(ids) > 1:
            nats_TV = self.model.score(ids)
            for place, token in enumerate(ids[1:]):
                values, likeliest = nats_TV[place].topk(self.asked.logprobs)
                top = list(zip(likeliest.tolist(), values.tolist(), strict=True))
                infos.append(TokenInfo(token, float(nats_TV[place, token]), top))
        return self._document(ids, infos)

    def _logprobs(self, tokens: list[TokenInfo]) -> dict[str, Any] | None:
        if self.asked.logprobs is None:
            return None
        return self._document([info.token for info in tokens], list(tokens))

    def _document(self, ids: list[int], infos: list[TokenInfo | None]) -> dict[str, Any]:
        texts = [self._name(token) for token in ids]
        offsets = [0]
        for text in texts:
            offsets.append(offsets[-1] + len(text))
        return {
            "tokens": texts,
            "token_logprobs": [info.nats if info else None for info in infos],
            "top_logprobs": [self._top(info) if info else None for info in infos],
            "text_offset": offsets[:-1],
        }

    def _top(self, info: TokenInfo) -> dict[str, float]:
        return {self._name(token): nats for token, nats in info.top}

    def _name(self, token: int) -> str:
        """Its text; bytes that are none alone are written as OpenAI writes them."""
        raw = self.model.tokenizer.token_bytes(token)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)

    def head(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.name,
        }

    def _chunk(self, number: int, text: str, logprobs: Any, reason: str | None) -> dict[str, Any]:
        return {**self.head(), "choices": [_choice(number, text, logprobs, reason)]}


def _choice(number: int, text: str, logprobs: Any, reason: str | None) -> dict[str, Any]:
    return {"index": number, "text": text, "logprobs": logprobs, "finish_reason": reason}


def _joined(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any] | None:
    """The likelihoods of a prompt and of what follows it."""
    if first is None or second is None:
        return first or second
    length = sum(map(len, first["tokens"]))
    joined = {name: first[name] + second[name] for name in first}
    joined["text_offset"] = first["text_offset"] + [length + at for at in second["text_offset"]]
    return joined
