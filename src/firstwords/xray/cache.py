"""The KV cache while the model goes on with a text: the engine's own, measured after every step."""

from typing import Any, NamedTuple

from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.listener import Listener
from firstwords.inference.sampling import Sampling
from firstwords.model import KVCache, Transformer
from firstwords.tokenizer import Tokenizer
from firstwords.xray.reading import Token


class Growth(NamedTuple):
    """What was written, and what the cache held each time."""

    tokens: list[Token]
    document: dict[str, Any]


def grow(model: Transformer, tokenizer: Tokenizer, prompt: list[int], sampling: Sampling) -> Growth:
    """Go on with a prompt as the chat does, by the same engine and seed: to the end of the turn, of
    `max_tokens` or of the context."""
    decoder = Decoder(model, slots=1)
    engine = Engine(decoder)
    sequence = engine.submit(prompt, sampling)
    listener = Listener(tokenizer, sequence)
    tokens: list[Token] = []
    steps: list[dict[str, Any]] = []
    while engine.busy:
        before = len(sequence.ids)
        drawn = engine.step()
        for _, token in drawn:
            listener.hear(token)
        if len(sequence.ids) > before:
            tokens.append(Token(sequence.ids[-1], "model" if drawn else "tool"))
            steps.append(_step(decoder.cache, before, len(tokens) == 1))
    reserved = decoder.cache.k_LBKSD.nbytes + decoder.cache.v_LBKSD.nbytes
    ended = listener.reason if tokens else "length"
    return Growth(tokens, {"reserved": reserved, "ended": ended, "steps": steps})


def _step(cache: KVCache, length: int, first: bool) -> dict[str, Any]:
    """`read` are the tokens that went through the model for this step, `without` those that would
    have to if nothing was kept."""
    filled = int(cache.k_LBKSD[0, 0, 0].any(-1).sum())  # a key is never all zeros
    positions = cache.k_LBKSD.shape[3]
    per_token = (cache.k_LBKSD.nbytes + cache.v_LBKSD.nbytes) // positions
    return {
        "tokens": filled,
        "bytes": filled * per_token,
        "read": length if first else 1,
        "without": length,
    }
