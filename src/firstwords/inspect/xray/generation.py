"""Generate with the engine, and measure its KV cache after every token."""

from typing import Any, NamedTuple

from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.inference.stream import StopFilter
from firstwords.inspect.xray.tokens import InspectedToken
from firstwords.model.kv_cache import KVCache
from firstwords.model.transformer import Transformer
from firstwords.tokenizer.bpe import Tokenizer


class MeasuredGeneration(NamedTuple):
    """The generated tokens, and the part `cache` of the X-ray's document."""

    tokens: list[InspectedToken]
    cache: dict[str, Any]


def generate_and_measure(
    model: Transformer, tokenizer: Tokenizer, prompt: list[int], sampling: Sampling
) -> MeasuredGeneration:
    """Generate after a prompt as the chat does, with the same engine and seed.

    Generation stops at the end of the turn, after `max_tokens`, or when the context is full.
    """
    decoder = Decoder(model, slots=1)
    engine = Engine(decoder)
    sequence = engine.submit(prompt, sampling)
    stop_filter = StopFilter(tokenizer, sequence)
    tokens: list[InspectedToken] = []
    steps: list[dict[str, Any]] = []
    while engine.busy:
        before = len(sequence.ids)
        sampled = engine.step()
        for _, token in sampled:
            stop_filter.feed(token)
        if len(sequence.ids) > before:
            tokens.append(InspectedToken(sequence.ids[-1], "model" if sampled else "tool"))
            steps.append(_measure_cache(decoder.cache, before, is_first=len(tokens) == 1))
    reserved = decoder.cache.k_LBKSD.nbytes + decoder.cache.v_LBKSD.nbytes
    ended = stop_filter.finish_reason if tokens else "length"
    return MeasuredGeneration(tokens, {"reserved": reserved, "ended": ended, "steps": steps})


def _measure_cache(cache: KVCache, length: int, is_first: bool) -> dict[str, Any]:
    """Return the cached tokens and bytes, how many tokens ran through the model in this step
    (`read`), and how many would have without a cache (`without`)."""
    n_cached = int(cache.k_LBKSD[0, 0, 0].any(-1).sum())  # a key is never all zeros
    positions = cache.k_LBKSD.shape[3]
    bytes_per_token = (cache.k_LBKSD.nbytes + cache.v_LBKSD.nbytes) // positions
    return {
        "tokens": n_cached,
        "bytes": n_cached * bytes_per_token,
        "read": length if is_first else 1,
        "without": length,
    }
