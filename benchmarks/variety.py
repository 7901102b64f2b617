"""How varied the starter curriculum is, measured on its documents.

    python benchmarks/variety.py [--megabytes 20] [--json]

- compression: how many times smaller zlib (level 9) makes the text;
- repeated documents: how many stand there more than once;
- frequent sentences: the share of the text that the 100 most frequent ones make up;
- words: how many different ones there are;
- repeated 13-grams: the share of all stretches of 13 words that stood somewhere before.

The limits that `tests/data/starter/test_starter.py` holds them to are printed beside them.
"""

import argparse
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
    """All measures of the first `n_bytes` of text."""
    texts: list[str] = []
    made = 0
    while made < n_bytes:
        texts.append(document(seed, len(texts)).text)
        made += len(texts[-1].encode())
    sentences = Counter(one for text in texts for one in re.split(r"(?<=[.!?])\s+", text))
    top = sum(len(one) * count for one, count in sentences.most_common(100))
    whole = "\n\n".join(texts)
    return {
        "compression": len(whole) / len(zlib.compress(whole.encode(), 9)),
        "repeated_documents": len(texts) - len(set(texts)),
        "frequent_sentences": top / len(whole),
        "words": len(set(re.findall(r"[a-z]+", whole.lower()))),
        "repeated_13_grams": repeated_ngrams(whole.split(), 13),
    }


def repeated_ngrams(words: list[str], n: int) -> float:
    """The share of all n-grams that stood somewhere before."""
    ids: dict[str, int] = {}
    id_N = np.array([ids.setdefault(word, len(ids)) for word in words], dtype=np.uint64)
    hash_N = np.zeros(len(id_N) - n + 1, dtype=np.uint64)
    for shift in range(n):  # wraps around at 2^64, as a hash may
        hash_N = hash_N * np.uint64(6364136223846793005) + id_N[shift : shift + len(hash_N)]
    return 1 - len(np.unique(hash_N)) / len(hash_N)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measures(int(arguments.megabytes * 1e6))
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name.replace('_', ' '):<20} {value:10,.4g}   ({LIMITS[name]})")


if __name__ == "__main__":
    main()
