"""Lab 7: generate without the KV cache, and count what that costs.

Write the three functions below. First read docs/labs/07-kv-cache.md.
"""

from firstwords.model.transformer import Transformer


def generate_without_cache(model: Transformer, prompt: list[int], n: int) -> list[int]:
    """Return the `n` tokens after `prompt`, each the most likely one after all tokens before it.

    `model(ids_BT)` takes token ids of shape (1, T) and returns logits of shape (1, T, vocabulary);
    the logits at position t are for the token at position t + 1. Do not pass a cache.
    """
    raise NotImplementedError("TODO: torch.tensor([ids]), the logits at the last position, argmax")


def tokens_without_cache(prompt_length: int, n: int) -> int:
    """Return how many tokens run through the model while it generates `n` tokens as above."""
    raise NotImplementedError("TODO: the prompt the first time, then one more each time")


def tokens_with_cache(prompt_length: int, n: int) -> int:
    """Return the same with a cache: a token whose keys and values are cached never runs through the
    model again. (The last generated token never runs through it.)"""
    raise NotImplementedError("TODO: each token runs through the model once")
