"""Lab 7: generate without the KV cache, and count what that costs.

Three functions are missing here. Read docs/labs/07-kv-cache.md first.
"""

from firstwords.model import Transformer


def generate_without_cache(model: Transformer, prompt: list[int], n: int) -> list[int]:
    """The `n` tokens that follow `prompt`, each the likeliest after all before it.

    `model(ids_BT)` takes token ids of shape (1, T) and gives logits of shape (1, T, vocabulary):
    those at place t are about the token that comes after it. Give it no cache.
    """
    raise NotImplementedError("TODO: torch.tensor([ids]), the logits at the last place, argmax")


def tokens_without_cache(prompt_length: int, n: int) -> int:
    """How many tokens go through the model in all while it generates `n` tokens as above."""
    raise NotImplementedError("TODO: the first time the prompt, then one more each time")


def tokens_with_cache(prompt_length: int, n: int) -> int:
    """The same with a cache: a token whose keys and values are kept never goes through again. (The
    last token that is generated does not go through at all.)"""
    raise NotImplementedError("TODO: each token goes through once")
