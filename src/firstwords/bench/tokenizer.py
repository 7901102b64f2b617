"""How fast the tokenizer is trained and encodes, beside the libraries used directly.

All take turns on the same text in one run; a ratio is taken within a round.
"""

import os
import time
from collections.abc import Callable
from itertools import chain
from statistics import median
from typing import Any

import numpy as np
import rustbpe
import tiktoken
from tokenizers import Tokenizer as Backend
from tokenizers import models, trainers

from firstwords import console, machine
from firstwords.data.corpora import open_corpus, texts
from firstwords.data.encoding import encode_texts
from firstwords.stages.tokenizer import take
from firstwords.tokenizer import SPECIAL_TOKENS, SPLIT_PATTERN, Tokenizer, pre_tokenizer

Work = Callable[[], object]


def bench_tokenizer(source: str, n_bytes: int, vocab_size: int, n_rounds: int) -> dict[str, Any]:
    """Megabytes of text per second of each contender, and ours as a share of the best peer.

    Raises UserError."""
    corpus = open_corpus(source, "--data")
    documents = list(take(texts(corpus, "train", 0), n_bytes))
    ours = Tokenizer.train(iter(documents), vocab_size)
    size = sum(len(document.encode()) for document in documents) / 1e6
    training, encoding = trained(documents, vocab_size), encoded(documents, ours)
    total = n_rounds * (len(training) + len(encoding))
    rates: dict[str, list[float]] = {name: [] for name in chain(training, encoding)}
    with console.progress("measuring", total, "turns") as meter:
        for _ in range(n_rounds):
            for name, work in chain(training.items(), encoding.items()):
                start = time.perf_counter()
                work()
                rates[name].append(size / (time.perf_counter() - start))
                meter.advance(1, name)
    return {
        "machine": machine.describe(),
        "source": corpus.name,
        "megabytes": size,
        "vocab_size": ours.vocab_size,
        "megabytes_per_second": {name: median(rate) for name, rate in rates.items()},
        "of_rustbpe": _share(rates["train: firstwords"], rates["train: rustbpe"]),
        "of_tiktoken": _share(rates["encode: firstwords"], rates["encode: tiktoken"]),
    }


def _share(ours: list[float], theirs: list[float]) -> float:
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def trained(documents: list[str], vocab_size: int) -> dict[str, Work]:
    def directly() -> object:
        trainer = rustbpe.Tokenizer()
        size = vocab_size - len(SPECIAL_TOKENS)
        trainer.train_from_iterator(iter(documents), vocab_size=size, pattern=SPLIT_PATTERN)
        return trainer.get_mergeable_ranks()

    def tokenizers() -> object:
        backend = Backend(models.BPE())
        backend.pre_tokenizer = pre_tokenizer()
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False)
        backend.train_from_iterator(iter(documents), trainer)
        return backend

    return {
        "train: firstwords": lambda: Tokenizer.train(iter(documents), vocab_size),
        "train: rustbpe": directly,
        "train: tokenizers": tokenizers,
    }


def encoded(documents: list[str], ours: Tokenizer) -> dict[str, Work]:
    """Ours makes the arrays that are stored; the others their own lists, made into arrays too."""
    ranks = {ours.token_bytes(t): t for t in range(ours.vocab_size) if t not in ours.special_ids}
    direct = tiktoken.Encoding(
        "peer", pat_str=SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )
    threads = os.cpu_count() or 1

    def arrays(lists: list[list[int]]) -> object:
        return [np.array(ids, dtype=np.uint16) for ids in lists]

    return {
        "encode: firstwords": lambda: encode_texts(ours, documents),
        "encode: tiktoken": lambda: arrays(
            direct.encode_ordinary_batch(documents, num_threads=threads)
        ),
        "encode: tokenizers": lambda: arrays(
            [e.ids for e in ours.backend.encode_batch_fast(documents, add_special_tokens=False)]
        ),
    }


def describe(result: dict[str, Any]) -> str:
    lines = [
        f"{result['megabytes']:.1f} MB of {result['source']}, vocabulary {result['vocab_size']:,}"
    ]
    lines += [f"{name:<20} {r:6.1f} MB/s" for name, r in result["megabytes_per_second"].items()]
    lines.append(
        f"training is {result['of_rustbpe']:.2f} times as fast as rustbpe used directly, encoding "
        f"{result['of_tiktoken']:.2f} times as fast as tiktoken"
    )
    return "\n".join(lines)
