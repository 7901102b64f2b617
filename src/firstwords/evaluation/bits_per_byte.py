"""Bits per byte: how many bits the model needs per byte of text it has not seen.

The loss in nats is summed over the tokens of the text and divided by its UTF-8 bytes times ln 2.
Unlike the loss per token it does not depend on the tokenizer, so models with different vocabularies
can be compared. Special tokens are neither predicted nor counted. Chance is 8 bits.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from firstwords.data.dataloader import IGNORE_INDEX, TextRows, stack_rows
from firstwords.data.token_store import TokenStore
from firstwords.model.transformer import Transformer

CHANCE_BITS_PER_BYTE = 8.0
EVAL_BATCH_SIZE = 8
BOOTSTRAP_RESAMPLES = 1000


class BitsPerByte(NamedTuple):
    """A score with its 95 % interval, a bootstrap over documents."""

    score: float
    ci95: tuple[float, float]
    n: int  # documents
    text_bytes: int
    by_source: dict[str, "BitsPerByte"]


@torch.inference_mode()
def nats_of_tokens(
    model: Transformer, store: TokenStore, seq_len: int, special_ids: list[int], count: int
) -> np.ndarray:
    """Return the loss (count,) in nats of each of the store's first tokens; 0 for special tokens
    and the very first one."""
    rows = TextRows(store, seq_len, pad_id=special_ids[0])
    n_rows = min(len(rows), -(-count // seq_len))
    special = torch.tensor(special_ids)
    # Allocated once: small tensors kept after each batch would fragment the memory that its logits
    # free, and the next batch's logits would need new memory (measured: 10 MB per batch).
    nats_RT = torch.zeros(n_rows, seq_len)
    for first in range(0, n_rows, EVAL_BATCH_SIZE):
        batch = stack_rows(rows, range(first, min(first + EVAL_BATCH_SIZE, n_rows)))
        batch.y_BT[torch.isin(batch.y_BT, special)] = IGNORE_INDEX
        x_BT, y_BT, start_BT = (part_BT.to(model.device) for part_BT in batch.parts())
        nats_N = model.loss(x_BT, y_BT, "none", start_BT).cpu()
        nats_RT[first : first + EVAL_BATCH_SIZE][batch.y_BT != IGNORE_INDEX] = nats_N
    nats = nats_RT.flatten().double().numpy()
    return np.concatenate([[0.0], nats])[:count]


def bits_per_byte(
    model: Transformer,
    store: TokenStore,
    seq_len: int,
    special_ids: list[int],
    sources: Sequence[str] = (),
    seed: int = 0,
    max_bytes: float = math.inf,
) -> BitsPerByte:
    """Measure the documents of `store`, which follow each other in rows of `seq_len` tokens.

    `sources` names the source of each document; if given, each source gets its own score.
    `max_bytes` limits the measurement to the first documents of that total size, at least one.
    """
    n_documents = max(1, int((np.cumsum(store.text_bytes) <= max_bytes).sum()))
    text_bytes = store.text_bytes[:n_documents]
    nats_of_document = nats_of_documents(model, store, seq_len, special_ids, n_documents)
    labels = np.array(sources)
    by_source = {
        source: _with_interval(nats_of_document[selected], text_bytes[selected], seed)
        for source in dict.fromkeys(sources)
        for selected in [labels == source]
    }
    return _with_interval(nats_of_document, text_bytes, seed)._replace(by_source=by_source)


def nats_of_documents(
    model: Transformer, store: TokenStore, seq_len: int, special_ids: list[int], n_documents: int
) -> np.ndarray:
    """Return the loss (n_documents,) in nats of each of the store's first documents."""
    lengths = store.lengths[:n_documents]
    nats = nats_of_tokens(model, store, seq_len, special_ids, int(lengths.sum()))
    starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)])
    return np.asarray(np.add.reduceat(nats, starts))


def _with_interval(nats: np.ndarray, text_bytes: np.ndarray, seed: int) -> BitsPerByte:
    """Return the bits per byte of some documents, with the interval of a bootstrap over them."""
    bits, sizes, n = nats / math.log(2), text_bytes.astype(np.float64), len(nats)
    rng = np.random.default_rng(seed)
    samples = (rng.integers(0, n, n) for _ in range(BOOTSTRAP_RESAMPLES))
    resampled = [bits[sample].sum() / sizes[sample].sum() for sample in samples]
    low, high = np.percentile(resampled, [2.5, 97.5])
    score = float(bits.sum() / sizes.sum())
    return BitsPerByte(score, (float(low), float(high)), n, int(sizes.sum()), {})
