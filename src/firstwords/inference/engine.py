"""Generation: a prompt in, tokens out, one at a time.

The engine keeps the keys and values of the last sequence it worked on. A new prompt that begins
like it (the next turn of a conversation) only pays for what is new.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from firstwords.inference.sampling import Sampling, choose
from firstwords.model import KVCache, Transformer


class Engine:
    def __init__(self, model: Transformer) -> None:
        self.model = model
        self.context = model.config.max_seq_len
        device = model.embed_tokens.weight.device
        self._cache = KVCache(model.config, batch=1, max_len=self.context, device=device)
        self._seen: list[int] = []  # the tokens whose keys and values are in the cache

    def generate(self, prompt: list[int], sampling: Sampling) -> "Generation":
        return Generation(self, prompt, sampling)

    @torch.inference_mode()
    def next_logits(self, ids: list[int]) -> Tensor:
        """Logits (V,) after `ids`, computing only what the cache does not hold."""
        shared = 0
        for old, new in zip(self._seen, ids[:-1], strict=False):
            if old != new:
                break
            shared += 1
        self._cache.length = shared
        self._seen = ids[:shared]  # true even if the pass is interrupted
        logits_BTV = self.model(torch.tensor([ids[shared:]]), self._cache)
        self._seen = list(ids)
        return logits_BTV[0, -1]


class Generation(Iterator[int]):
    """Tokens after a prompt, until the caller stops asking, `max_tokens`, or a full context."""

    def __init__(self, engine: Engine, prompt: list[int], sampling: Sampling) -> None:
        self.engine, self.sampling = engine, sampling
        self.ids, self.drawn = list(prompt), 0
        self._generator = torch.Generator().manual_seed(sampling.seed)

    def __next__(self) -> int:
        if self.drawn >= self.sampling.max_tokens or len(self.ids) >= self.engine.context:
            raise StopIteration
        token = choose(self.engine.next_logits(self.ids), self.sampling, self._generator)
        self.ids.append(token)
        self.drawn += 1
        return token

    def force(self, ids: list[int]) -> None:
        """Go on as if `ids` had been generated (a tool's response)."""
        self.ids.extend(ids)
