"""The first phase of a run: its tokenizer.

Learn from a sample of the run's own text which byte sequences become tokens, then measure the
result in bytes per token, on training text and on held-out text. More bytes per token mean shorter
sequences: more text per second, and more of it in the model's context.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain

from firstwords.common import console, files
from firstwords.common.errors import Interrupted, UserError
from firstwords.data import corpora
from firstwords.data.corpora import take_bytes
from firstwords.runs.datasets import open_conversations, open_text
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.session import Session

MEASURED_BYTES = 500_000


def train_tokenizer(session: Session) -> None:
    """Train the run's tokenizer and measure it. If its file was lost, but a checkpoint has a copy,
    use that; a run that starts from another one has its tokenizer. Raises Interrupted, and
    UserError if there is no text."""
    run, stop = session.run, session.stop
    copy = run.find_tokenizer()
    recipe, text, chat = run.recipe, open_text(run), open_conversations(run)
    chat_bytes = int(recipe.tokenizer_bytes * recipe.tokenizer_chat_fraction)
    documents = take_bytes(
        corpora.texts(text, "train", recipe.seed), recipe.tokenizer_bytes - chat_bytes
    )
    messages = take_bytes(corpora.chat_texts(chat, recipe.seed), chat_bytes)
    with ExitStack() as shown:
        meter = shown.enter_context(console.progress("reading", recipe.tokenizer_bytes, "bytes"))
        merging: console.Meter | None = None

        def show_merges(done: int, total: int) -> None:
            nonlocal merging
            if merging is None:
                shown.close()
                merging = shown.enter_context(console.progress("merging", total, "merges"))
            merging.advance(done - merging.done)

        def sample() -> Iterator[str]:
            for document in chain(documents, messages):
                if stop.requested:
                    raise Interrupted("tokenizer")
                meter.advance(len(document.encode()))
                yield document

        if copy:
            tokenizer = Tokenizer.load(copy)
            deque(sample(), maxlen=0)  # only to count its bytes
        else:
            with stop.deferred():  # rustbpe calls Python to log, and swallows exceptions there
                tokenizer = Tokenizer.train(sample(), recipe.model.vocab_size, show_merges)
        if meter.done == 0 and recipe.tokenizer_bytes:
            raise UserError(f"--data {text.name} is empty", "give files with text in them")
    if stop.requested:
        raise Interrupted("tokenizer")
    stats = {
        "vocab_size": tokenizer.vocab_size,
        "trained_on_bytes": meter.done,
        "bytes_per_token": {
            "train": bytes_per_token(tokenizer, corpora.texts(text, "train", recipe.seed)),
            "held_out": bytes_per_token(tokenizer, corpora.texts(text, "val", recipe.seed)),
            "chat": bytes_per_token(tokenizer, corpora.chat_texts(chat, recipe.seed)),
        },
        "sha256": tokenizer.sha256,
    }
    tokenizer.save(run.tokenizer_path)
    files.write_json(run.tokenizer_stats_path, stats)


def summarize_tokenizer(run: Run) -> str:
    """Return the size and the compression of the tokenizer in one line."""
    stats = run.tokenizer_stats()
    if stats is None:
        return "not measured"
    rates = stats["bytes_per_token"]
    return (
        f"{stats['vocab_size']:,} tokens; bytes per token: {rates['train']:.2f} on training text, "
        f"{rates['held_out']:.2f} on held-out text, {rates['chat']:.2f} on conversations"
    )


def bytes_per_token(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    """Measure the compression of the first MEASURED_BYTES of the texts."""
    sample = list(take_bytes(texts, MEASURED_BYTES))
    tokens = sum(len(ids) for ids in tokenizer.encode_batch(sample))
    return sum(len(text.encode()) for text in sample) / max(1, tokens)
