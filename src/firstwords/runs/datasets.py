"""The encoded data of a run, created when a stage first needs it."""

from collections.abc import Callable
from pathlib import Path

from firstwords.common import console, files, hardware
from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel
from firstwords.data import corpora
from firstwords.data.corpora import take_bytes
from firstwords.data.token_store import (
    Counts,
    TokenStore,
    open_store,
    store_conversations,
    store_texts,
)
from firstwords.runs.documents import read_or_none
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer

APPROXIMATE_BYTES_PER_TOKEN = 4  # for bounds that need not be exact
# Starting several processes takes as long as they would save on fewer tokens.
MIN_TOKENS_FOR_PROCESSES = 20_000_000


def open_text(run: Run) -> corpora.Corpus:
    """Open the run's text."""
    return corpora.open_corpus(run.manifest.sources.data, "--data").with_seed(run.file_seed)


def open_conversations(run: Run) -> corpora.Corpus:
    """Open the run's conversations, which speak with its personality."""
    corpus = corpora.open_corpus(run.manifest.sources.chat_data, "--chat-data")
    return corpora.with_personality(corpus.with_seed(run.file_seed), run.manifest.personality)


def load_tokenizer(run: Run) -> Tokenizer:
    """Return the tokenizer of a run. Raises UserError if there is none."""
    path = run.find_tokenizer()
    if path is None:
        raise UserError(
            f"run {run.name} has no tokenizer", f"first run: firstwords tokenizer --run {run.name}"
        )
    return Tokenizer.load(path)


def text_store(run: Run, tokenizer: Tokenizer, split: corpora.Split) -> TokenStore:
    """Return the run's text as tokens: as much as its stages read, or all that exists.

    Raises UserError if that is less than a batch.
    """
    n_tokens = run.recipe.text_tokens + run.recipe.pretrain.seq_len
    if split == "val":
        n_tokens = run.recipe.val_bytes  # no limit in practice: a token has at least one byte

    def create(directory: Path) -> TokenStore:
        corpus = open_text(run)
        documents = corpora.texts(corpus, split, run.recipe.seed)
        if split == "val":
            documents = take_bytes(documents, run.recipe.val_bytes)
        processes = encoding_processes(n_tokens)
        discard_if_source_changed(directory, corpus, tokenizer)
        with console.progress(f"encoding text ({split})", n_tokens, "tokens") as meter:
            on_progress = progress_callback(meter)
            return store_texts(directory, documents, tokenizer, n_tokens, on_progress, processes)

    return _open_or_create(run, "text", split, tokenizer, create)


def chat_store(run: Run, tokenizer: Tokenizer, split: corpora.Split) -> TokenStore:
    """Return the run's conversations as tokens: as many as both chat stages read, or all that
    exist. Both stages train on all of them.

    Raises UserError if they are less than a batch.
    """
    n_tokens = run.recipe.midtrain.tokens + run.recipe.sft.tokens
    if split == "val":
        n_tokens = min(n_tokens, run.recipe.val_bytes // APPROXIMATE_BYTES_PER_TOKEN)

    def create(directory: Path) -> TokenStore:
        corpus = open_conversations(run)
        conversations = corpora.conversations(corpus, split, run.recipe.seed)
        processes = encoding_processes(n_tokens)
        discard_if_source_changed(directory, corpus, tokenizer)
        with console.progress(f"encoding conversations ({split})", n_tokens, "tokens") as meter:
            on_progress = progress_callback(meter)
            return store_conversations(
                directory, conversations, tokenizer, n_tokens, on_progress, processes
            )

    return _open_or_create(run, "chat", split, tokenizer, create)


def encode_data(run: Run) -> None:
    """Encode everything that the run's stages and their evaluation read."""
    tokenizer = load_tokenizer(run)
    for split in corpora.SPLITS:
        for kind, store in (("text", text_store), ("conversations", chat_store)):
            console.say(f"{kind} ({split}): {len(store(run, tokenizer, split)):,} tokens")


def encoding_processes(n_tokens: float) -> int:
    """Return the number of processes to encode this many tokens with."""
    return hardware.physical_cores() if n_tokens >= MIN_TOKENS_FOR_PROCESSES else 1


def progress_callback(meter: console.Meter) -> Callable[[Counts], None]:
    """Return a callback that shows the tokens encoded so far."""
    return lambda counts: meter.advance(counts.tokens - meter.done)


class Source(FrozenModel):
    """What a store was encoded from, beside the store: tokens/KIND/SPLIT.source.json."""

    files: list[tuple[str, int]]  # name and bytes of each file of the corpus
    tokenizer: str  # SHA-256


def _source_path(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.source.json")


def discard_if_source_changed(
    directory: Path, corpus: corpora.Corpus, tokenizer: Tokenizer
) -> None:
    """Discard an interrupted encoding if the corpus has other files now, and record its files.

    Other files would be read in another order: resuming would encode some documents twice and
    others never.
    """
    path = _source_path(directory)
    source = {
        "files": [[file.name, file.stat().st_size] for file in corpus.all_files],
        "tokenizer": tokenizer.sha256,
    }
    if directory.exists() and read_or_none(Source, path) != source:
        console.warn(f"the files of {corpus.name} have changed; encoding them from the start")
        files.remove_directory(directory)
    files.write_json(path, source)


def _open_unless_other_tokenizer(directory: Path, tokenizer: Tokenizer) -> TokenStore | None:
    """Return the complete store in a directory, unless another tokenizer encoded it: the one of
    this run was lost, and the new one differs."""
    source = read_or_none(Source, _source_path(directory))
    if source and source["tokenizer"] != tokenizer.sha256:
        return None
    return open_store(directory)


def _open_or_create(
    run: Run,
    kind: str,
    split: corpora.Split,
    tokenizer: Tokenizer,
    create: Callable[[Path], TokenStore],
) -> TokenStore:
    """Return the store of a split, created if it does not exist or is damaged.

    Raises UserError if it is smaller than a batch, and removes it, since the user may add data.
    """
    directory = run.tokens(kind, split)
    store = _open_unless_other_tokenizer(directory, tokenizer) or create(directory)
    stage, option = (
        (run.recipe.pretrain, "--data") if kind == "text" else (run.recipe.sft, "--chat-data")
    )
    min_tokens = stage.batch_tokens if split == "train" else 1
    if len(store) < min_tokens:
        files.remove_directory(directory)
        sources = run.manifest.sources
        source = sources.text_line if kind == "text" else sources.chat_line
        raise UserError(
            f"{option} {source} has only {len(store):,} tokens ({split}), fewer than the "
            f"{min_tokens:,} of a batch",
            "add data and run the same command again",
        )
    return store
