"""Measure the speed of training a tokenizer and of encoding, beside the libraries used directly.

All contenders take turns with the same text in one run, and ratios are taken within a round.
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

from firstwords.common import console, devices
from firstwords.data.corpora import open_corpus, take_bytes, texts
from firstwords.data.encoding import encode_texts
from firstwords.tokenizer.bpe import SPECIAL_TOKENS, SPLIT_PATTERN, Tokenizer, pre_tokenizer

Contender = Callable[[], object]


def bench_tokenizer(source: str, n_bytes: int, vocab_size: int, n_rounds: int) -> dict[str, Any]:
    """Return megabytes of text per second of each contender, and ours relative to the best peer.

    Raises UserError if the text cannot be read.
    """
    corpus = open_corpus(source, "--data")
    documents = list(take_bytes(texts(corpus, "train", 0), n_bytes))
    tokenizer = Tokenizer.train(iter(documents), vocab_size)
    megabytes = sum(len(document.encode()) for document in documents) / 1e6
    contenders = training_contenders(documents, vocab_size) | encoding_contenders(
        documents, tokenizer
    )
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    with console.progress("measuring", n_rounds * len(contenders), "turns") as meter:
        for name, run in chain.from_iterable(contenders.items() for _ in range(n_rounds)):
            start = time.perf_counter()
            run()
            rates[name].append(megabytes / (time.perf_counter() - start))
            meter.advance(1, name)
    return {
        "machine": devices.describe_machine(),
        "source": corpus.name,
        "megabytes": megabytes,
        "vocab_size": tokenizer.vocab_size,
        "megabytes_per_second": {name: median(rate) for name, rate in rates.items()},
        "of_rustbpe": _ratio(rates["train: firstwords"], rates["train: rustbpe"]),
        "of_tiktoken": _ratio(rates["encode: firstwords"], rates["encode: tiktoken"]),
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def training_contenders(documents: list[str], vocab_size: int) -> dict[str, Contender]:
    """Return the contenders that train a tokenizer, by name."""

    def train_rustbpe() -> object:
        trainer = rustbpe.Tokenizer()
        size = vocab_size - len(SPECIAL_TOKENS)
        trainer.train_from_iterator(iter(documents), vocab_size=size, pattern=SPLIT_PATTERN)
        return trainer.get_mergeable_ranks()

    def train_tokenizers() -> object:
        backend = Backend(models.BPE())
        backend.pre_tokenizer = pre_tokenizer()
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False)
        backend.train_from_iterator(iter(documents), trainer)
        return backend

    return {
        "train: firstwords": lambda: Tokenizer.train(iter(documents), vocab_size),
        "train: rustbpe": train_rustbpe,
        "train: tokenizers": train_tokenizers,
    }


def encoding_contenders(documents: list[str], tokenizer: Tokenizer) -> dict[str, Contender]:
    """Return the contenders that encode, by name. Ours makes the arrays that are stored; the lists
    of the others are turned into arrays too."""
    special_ids = tokenizer.special_ids
    ranks = {
        tokenizer.token_bytes(token): token
        for token in range(tokenizer.vocab_size)
        if token not in special_ids
    }
    encoding = tiktoken.Encoding(
        "peer", pat_str=SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )
    threads = os.cpu_count() or 1

    def arrays(lists: list[list[int]]) -> object:
        return [np.array(ids, dtype=np.uint16) for ids in lists]

    return {
        "encode: firstwords": lambda: encode_texts(tokenizer, documents),
        "encode: tiktoken": lambda: arrays(
            encoding.encode_ordinary_batch(documents, num_threads=threads)
        ),
        "encode: tokenizers": lambda: arrays(
            [
                encoded.ids
                for encoded in tokenizer.backend.encode_batch_fast(
                    documents, add_special_tokens=False
                )
            ]
        ),
    }


def render_tokenizer(result: dict[str, Any]) -> str:
    """Render the benchmark as text."""
    rates = result["megabytes_per_second"]
    return "\n".join(
        [
            f"{result['megabytes']:.1f} MB of {result['source']}, vocabulary "
            f"{result['vocab_size']:,}",
            *(f"{name:<20} {rate:6.1f} MB/s" for name, rate in rates.items()),
            f"training is {result['of_rustbpe']:.2f} times as fast as rustbpe used directly, "
            f"encoding {result['of_tiktoken']:.2f} times as fast as tiktoken",
        ]
    )
