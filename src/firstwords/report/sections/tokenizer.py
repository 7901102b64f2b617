"""The section on the tokenizer: its compression, compared with bytes and words, and examples."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from firstwords.common.markdown import paragraphs, quote, table
from firstwords.common.units import format_size
from firstwords.data import corpora
from firstwords.data.corpora import take_bytes
from firstwords.runs.datasets import load_tokenizer, open_text
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer

COMPARED_BYTES = 200_000  # of training and of held-out text
N_LONGEST_TOKENS = 24
SAMPLES = {
    "a story": "Once upon a time there was a little fox who lived by the river.",
    "a question": "What is the capital of France?",
    "a sum": "What is 1234 times 56? The answer is 69104.",
    "rare words": "The bioluminescent zooplankton shimmered iridescently.",
    "code": "def add(a, b):\n    return a + b  # the sum",
    "German": "Der kleine Fuchs läuft über die Brücke nach Hause.",
    "other scripts": "Привет, мир! 你好，世界！🦊",
}


def render_tokenizer(run: Run) -> str:
    """Bytes per token of several kinds of text, baselines, and how example texts are split."""
    stats, tokenizer = run.tokenizer_stats(), load_tokenizer(run)
    if stats is None:
        return ""
    return paragraphs(
        f"{stats['vocab_size']:,} tokens, {_training(run, stats)}. "
        "The more bytes per token, the more text the model processes in the same time, and the "
        "more of it fits into the context.",
        _render_rates(stats["bytes_per_token"], tokenizer),
        _render_baselines(run, tokenizer, stats["bytes_per_token"]["held_out"]),
        "How it splits text (`|` separates tokens, `·` is a space):",
        quote("\n".join(format_split(tokenizer, text) for text in SAMPLES.values())),
        f"Its {N_LONGEST_TOKENS} longest tokens, which are frequent sequences of the text: "
        + ", ".join(f"`{_printable(token)}`" for token in longest_tokens(tokenizer)),
    )


def _training(run: Run, stats: dict[str, Any]) -> str:
    if origin := run.manifest.origin:
        return f"those of the run that this one starts from ({origin})"
    return f"trained on {format_size(stats['trained_on_bytes'])}"


def _render_rates(measured: dict[str, float], tokenizer: Tokenizer) -> str:
    names = {"train": "training text", "held_out": "held-out text", "chat": "conversations"}
    rates = {names.get(kind, kind): rate for kind, rate in measured.items()}
    for kind, text in SAMPLES.items():
        rates[kind] = len(text.encode()) / len(tokenizer.encode(text))
    return table(
        ["text", "bytes per token"], [[kind, f"{rate:.2f}"] for kind, rate in rates.items()]
    )


def _render_baselines(run: Run, tokenizer: Tokenizer, rate: float) -> str:
    """Compare with a vocabulary of whole words of the same size, and with plain bytes."""
    corpus, seed = open_text(run), run.recipe.seed
    train_counts = count_words(take_bytes(corpora.texts(corpus, "train", seed), COMPARED_BYTES))
    val_counts = count_words(take_bytes(corpora.texts(corpus, "val", seed), COMPARED_BYTES))
    known = {word for word, _ in train_counts.most_common(tokenizer.vocab_size)}
    n_words = max(1, val_counts.total())  # text may be only spaces
    n_unknown = sum(count for word, count in val_counts.items() if word not in known)
    rows = [
        ["bytes", "256", "1.00", "none"],
        ["this tokenizer", f"{tokenizer.vocab_size:,}", f"{rate:.2f}", "none"],
        [
            "words",
            f"{len(known):,}",
            f"{sum(len(w.encode()) * n for w, n in val_counts.items()) / n_words:.2f}",
            f"{n_unknown / n_words:.1%} of the words",
        ],
    ]
    header = ["unit", "vocabulary", "bytes per token", "cannot encode"]
    return paragraphs(
        table(header, rows),
        "The words are the most frequent ones in a sample of the training text, each with the "
        "space before it. The words that they cannot encode are counted in held-out text.",
    )


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Count each word, with the space before it."""
    return Counter(f" {word}" for text in texts for word in text.split())


def format_split(tokenizer: Tokenizer, text: str) -> str:
    """Return the text with a bar between tokens. Parts of a character are shown as hex bytes."""
    return "|".join(_printable(tokenizer.token_bytes(token)) for token in tokenizer.encode(text))


def longest_tokens(tokenizer: Tokenizer) -> list[bytes]:
    """Return the longest tokens, the longest first."""
    special = set(tokenizer.special_ids)
    tokens = [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size) if i not in special]
    return sorted(tokens, key=lambda token: (-len(token), token))[:N_LONGEST_TOKENS]


def _printable(token: bytes) -> str:
    try:
        return token.decode().replace(" ", "·").replace("\n", "⏎").replace("`", "'")
    except UnicodeDecodeError:
        return "".join(f"<{byte:02x}>" for byte in token)
