"""Phase 1: the tokenizer.

Learn from a sample of the run's own text which byte sequences are worth a token, then measure it:
bytes per token, on text it was trained on and on text held out. More bytes per token mean shorter
sequences, so more text read per second and more of it in the model's context.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from firstwords import console, files
from firstwords.data import corpora
from firstwords.errors import Interrupted, UserError
from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.tokenizer import Tokenizer

MEASURED_BYTES = 500_000


def is_trained(run: Run) -> bool:
    return run.tokenizer_path.exists() and run.tokenizer_stats_path.exists()


def train_tokenizer(run: Run, stop: Stop) -> None:
    recipe, sources = run.recipe, run.manifest.sources
    text = corpora.open_corpus(sources.data, "--data")
    chat = corpora.open_corpus(sources.chat_data, "--chat-data")
    chat_bytes = int(recipe.tokenizer_bytes * recipe.tokenizer_chat)
    documents = take(corpora.texts(text, "train", recipe.seed), recipe.tokenizer_bytes - chat_bytes)
    messages = take(chat_texts(chat, recipe.seed), chat_bytes)
    with console.progress("reading", recipe.tokenizer_bytes, "bytes") as meter:

        def sample() -> Iterator[str]:
            for document in chain(documents, messages):
                if stop.requested:
                    raise Interrupted("tokenizer")
                meter.advance(len(document.encode()))
                yield document

        with stop.deferred():  # rustbpe calls Python to log, and loses what is raised there
            tokenizer = Tokenizer.train(sample(), recipe.model.vocab_size)
        if meter.done == 0:
            raise UserError(f"--data {sources.data}", "it is empty; give files with text in them")
    if stop.requested:
        raise Interrupted("tokenizer")
    stats = {
        "vocab_size": tokenizer.vocab_size,
        "trained_on_bytes": meter.done,
        "bytes_per_token": {
            "train": bytes_per_token(tokenizer, corpora.texts(text, "train", recipe.seed)),
            "held_out": bytes_per_token(tokenizer, corpora.texts(text, "val", recipe.seed)),
            "chat": bytes_per_token(tokenizer, chat_texts(chat, recipe.seed)),
        },
    }
    tokenizer.save(run.tokenizer_path)
    files.write_json(run.tokenizer_stats_path, stats)


def describe(run: Run) -> str:
    stats = files.read_json(run.tokenizer_stats_path)
    rates = stats["bytes_per_token"]
    return (
        f"{stats['vocab_size']:,} tokens; bytes per token: {rates['train']:.2f} on training text, "
        f"{rates['held_out']:.2f} on held-out text, {rates['chat']:.2f} on conversations"
    )


def chat_texts(corpus: corpora.Corpus, seed: int) -> Iterator[str]:
    for messages in corpora.conversations(corpus, "train", seed):
        yield from (message["content"] for message in messages)


def take(texts: Iterable[str], n_bytes: int) -> Iterator[str]:
    """Texts until they amount to `n_bytes`."""
    for text in texts:
        if n_bytes <= 0:
            return
        n_bytes -= len(text.encode())
        yield text


def bytes_per_token(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    sample = list(take(texts, MEASURED_BYTES))
    tokens = sum(len(ids) for ids in tokenizer.encode_batch(sample))
    return sum(len(text.encode()) for text in sample) / max(1, tokens)
