"""Measure how varied the documents of the starter curriculum are.

    python benchmarks/variety.py [--megabytes 20] [--json]

- compression: size of the text over its size compressed with zlib (level 9);
- repeated documents: documents that are equal to an earlier one;
- frequent sentences: share of the text in its 100 most frequent sentences;
- words: number of different words;
- repeated 13-grams: share of all sequences of 13 words that occurred before.

It also prints the limits that `tests/data/starter/test_starter.py` checks.
"""

import argparse
import itertools
import json
import re
import zlib
from collections import Counter

import numpy as np

from firstwords.data.starter import document

LIMITS = {
    "compression": "at most 4.0",
    "repeated_documents": "0",
    "frequent_sentences": "at most 0.03",
    "words": "at least 6000",
    "repeated_13_grams": "reported",
}


def measures(n_bytes: int, seed: int = 7) -> dict[str, float]:
    """Return all measures of the first `n_bytes` of text, without the library in it."""
    texts: list[str] = []
    generated = 0
    for index in itertools.count():
        one = document(seed, index)
        generated += len(one.text.encode())
        if one.kind != "library":  # a fixed number of texts, with few variants
            texts.append(one.text)
        if generated >= n_bytes:
            break
    sentences = Counter(one for page in texts for one in re.split(r"(?<=[.!?])\s+", page))
    top = sum(len(one) * count for one, count in sentences.most_common(100))
    text = "\n\n".join(texts)
    return {
        "compression": len(text) / len(zlib.compress(text.encode(), 9)),
        "repeated_documents": len(texts) - len(set(texts)),
        "frequent_sentences": top / len(text),
        "words": len(set(re.findall(r"[a-z]+", text.lower()))),
        "repeated_13_grams": repeated_ngrams(text.split(), 13),
    }


def repeated_ngrams(words: list[str], n: int) -> float:
    """Return the share of all n-grams that occurred before."""
    ids: dict[str, int] = {}
    id_N = np.array([ids.setdefault(word, len(ids)) for word in words], dtype=np.uint64)
    hash_N = np.zeros(len(id_N) - n + 1, dtype=np.uint64)
    for shift in range(n):  # overflow is fine in a hash
        hash_N = hash_N * np.uint64(6364136223846793005) + id_N[shift : shift + len(hash_N)]
    return 1 - len(np.unique(hash_N)) / len(hash_N)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = measures(int(arguments.megabytes * 1e6))
    if arguments.json:
        print(json.dumps(results))
        return
    for name, value in results.items():
        print(f"{name.replace('_', ' '):<20} {value:10,.4g}   ({LIMITS[name]})")


if __name__ == "__main__":
    main()
