"""Bits per byte: how many bits the model needs for a byte of text it has not seen.

The loss in nats is summed over the tokens of the text and divided by its UTF-8 bytes times ln 2.
Unlike the loss per token it does not depend on the tokenizer, so models with different
vocabularies can be compared. Special tokens are neither predicted nor counted. Chance is 8 bits.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from firstwords.data.rows import TextRows, stack
from firstwords.data.tokens import TokenStore
from firstwords.model import IGNORE, Transformer

CHANCE = 8.0
BATCH_ROWS = 8
RESAMPLES = 1000


class BitsPerByte(NamedTuple):
    score: float
    ci95: tuple[float, float]  # bootstrap over documents
    n: int  # documents
    text_bytes: int
    by_source: dict[str, "BitsPerByte"]


@torch.inference_mode()
def nats_of_tokens(
    model: Transformer, store: TokenStore, seq_len: int, special_ids: list[int], count: int
) -> np.ndarray:
    """Loss of the store's first `count` tokens; 0 for special tokens and the very first."""
    rows = TextRows(store, seq_len, pad=special_ids[0])
    needed = min(len(rows), -(-count // seq_len))
    special = torch.tensor(special_ids)
    # One piece for all, made before: a small one kept after each batch would sit in the hole that
    # its logits leave, and the next batch's would need another (10 MB a batch were measured).
    nats_RT = torch.zeros(needed, seq_len)
    for first in range(0, needed, BATCH_ROWS):
        x_BT, y_BT = stack(rows, range(first, min(first + BATCH_ROWS, needed)))
        y_BT[torch.isin(y_BT, special)] = IGNORE
        found_N = model.loss(x_BT, y_BT, reduction="none").cpu()
        nats_RT[first : first + BATCH_ROWS][y_BT != IGNORE] = found_N
    nats = nats_RT.flatten().double().numpy()
    return np.concatenate([[0.0], nats])[:count]


def bits_per_byte(
    model: Transformer,
    store: TokenStore,
    seq_len: int,
    special_ids: list[int],
    sources: Sequence[str] = (),
    seed: int = 0,
    most_bytes: float = math.inf,
) -> BitsPerByte:
    """Over `store`, whose documents follow each other in rows of `seq_len` tokens, or so many of
    its first documents as have `most_bytes` (one at least); and of each of the `sources`, where
    they are given, one for each document."""
    documents = max(1, int((np.cumsum(store.text_bytes) <= most_bytes).sum()))
    lengths, text_bytes = store.lengths[:documents], store.text_bytes[:documents]
    nats = nats_of_tokens(model, store, seq_len, special_ids, int(lengths.sum()))
    starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)])
    nats_of_document = np.add.reduceat(nats, starts)
    labels = np.array(sources)
    by_source = {
        source: _rate(nats_of_document[chosen], text_bytes[chosen], seed)
        for source in dict.fromkeys(sources)
        for chosen in [labels == source]
    }
    return _rate(nats_of_document, text_bytes, seed)._replace(by_source=by_source)


def _rate(nats: np.ndarray, text_bytes: np.ndarray, seed: int) -> BitsPerByte:
    """Of some documents, with the interval of a bootstrap over them."""
    bits, sizes, n = nats / math.log(2), text_bytes.astype(np.float64), len(nats)
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, n, n) for _ in range(RESAMPLES))
    resampled = [bits[chosen].sum() / sizes[chosen].sum() for chosen in drawn]
    low, high = np.percentile(resampled, [2.5, 97.5])
    score = float(bits.sum() / sizes.sum())
    return BitsPerByte(score, (float(low), float(high)), n, int(sizes.sum()), {})
