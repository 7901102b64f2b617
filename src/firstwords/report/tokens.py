"""The tokenizer: how it cuts text, and how well, beside bytes and words."""

from collections import Counter
from collections.abc import Iterable

from firstwords import console, files
from firstwords.data import corpora
from firstwords.report.markdown import paragraphs, quote, table
from firstwords.run import Run
from firstwords.stages.tokenizer import take
from firstwords.tokenizer import Tokenizer

COMPARED_BYTES = 200_000
LONGEST = 24
SAMPLES = {
    "a story": "Once upon a time there was a little fox who lived by the river.",
    "a question": "What is the capital of France?",
    "a sum": "What is 1234 times 56? The answer is 69104.",
    "rare words": "The bioluminescent zooplankton shimmered iridescently.",
    "code": "def add(a, b):\n    return a + b  # the sum",
    "German": "Der kleine Fuchs läuft über die Brücke nach Hause.",
    "other scripts": "Привет, мир! 你好，世界！🦊",
}


def tokenizer_page(run: Run) -> str:
    stats = files.read_json(run.tokenizer_stats_path)
    tokenizer = Tokenizer.load(run.tokenizer_path)
    return paragraphs(
        f"{stats['vocab_size']:,} tokens, learned from {console.size(stats['trained_on_bytes'])}. "
        "More bytes per token mean shorter sequences: more text is read in the same time, and more "
        "of it fits into the context.",
        _rates(stats["bytes_per_token"], tokenizer),
        _baselines(run, tokenizer, stats["bytes_per_token"]["held_out"]),
        "How it cuts (a bar stands between two tokens, a dot for a space):",
        quote("\n".join(cut(tokenizer, text) for text in SAMPLES.values())),
        f"Its {LONGEST} longest tokens, which stand for what this text says most often: "
        + ", ".join(f"`{_shown(token)}`" for token in longest(tokenizer)),
    )


def _rates(measured: dict[str, float], tokenizer: Tokenizer) -> str:
    names = {"train": "training text", "held_out": "held-out text", "chat": "conversations"}
    rates = {names.get(kind, kind): rate for kind, rate in measured.items()}
    for kind, text in SAMPLES.items():
        rates[kind] = len(text.encode()) / len(tokenizer.encode(text))
    return table(
        ["text", "bytes per token"], [[kind, f"{rate:.2f}"] for kind, rate in rates.items()]
    )


def _baselines(run: Run, tokenizer: Tokenizer, rate: float) -> str:
    """The same vocabulary spent on whole words, and no vocabulary at all."""
    corpus, seed = corpora.open_corpus(run.manifest.sources.data, "--data"), run.recipe.seed
    seen = words(take(corpora.texts(corpus, "train", seed), COMPARED_BYTES))
    new = words(take(corpora.texts(corpus, "val", seed), COMPARED_BYTES))
    known = {word for word, _ in seen.most_common(tokenizer.vocab_size)}
    unknown = sum(count for word, count in new.items() if word not in known) / new.total()
    rows = [
        ["bytes", "256", "1.00", "none"],
        ["this tokenizer", f"{tokenizer.vocab_size:,}", f"{rate:.2f}", "none"],
        [
            "words",
            f"{len(known):,}",
            f"{sum(len(w.encode()) * n for w, n in new.items()) / new.total():.2f}",
            f"{unknown:.1%} of the words",
        ],
    ]
    header = ["cut into", "vocabulary", "bytes per token", "what it cannot write"]
    return paragraphs(
        table(header, rows),
        "The words are the commonest of a part of the training text, with the space before them; "
        "what they cannot write was counted in held-out text.",
    )


def words(texts: Iterable[str]) -> Counter[str]:
    """How often each word comes, with its space."""
    return Counter(f" {word}" for text in texts for word in text.split())


def cut(tokenizer: Tokenizer, text: str) -> str:
    """The text with a bar between two tokens. Half of a character is shown as its bytes."""
    return "|".join(_shown(tokenizer.token_bytes(token)) for token in tokenizer.encode(text))


def longest(tokenizer: Tokenizer) -> list[bytes]:
    special = set(tokenizer.special_ids)
    tokens = [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size) if i not in special]
    return sorted(tokens, key=lambda token: (-len(token), token))[:LONGEST]


def _shown(token: bytes) -> str:
    try:
        return token.decode().replace(" ", "·").replace("\n", "⏎").replace("`", "'")
    except UnicodeDecodeError:
        return "".join(f"<{byte:02x}>" for byte in token)
