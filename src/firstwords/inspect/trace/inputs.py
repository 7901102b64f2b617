"""The input of a trace: a copy of a run's model, and a text as a training row.

The row is made by the code that training uses, so the trace shows the real step.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from firstwords.common import devices
from firstwords.common.errors import UserError
from firstwords.data.dataloader import PackedRows, Rows, TextRows
from firstwords.data.token_store import Counts, TokenStore, store_conversations, store_texts
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import Recipe, Stage, StageConfig
from firstwords.runs import registry
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer

NO_LIMIT = 1 << 62  # tokens


class TraceRequest(NamedTuple):
    """What to trace. With an `answer` the text becomes a user's message in a conversation; `fresh`
    takes the initial weights instead of a checkpoint."""

    text: str
    answer: str | None = None
    run_name: str | None = None
    stage: Stage | None = None
    fresh: bool = False


class TraceInput(NamedTuple):
    """The model and the row of a traced step.

    `step` is that of the checkpoint, 0 for initial weights. `stage` decides the learning rate and
    which tokens are targets.
    """

    run: Run
    stage: Stage
    step: int
    model: Transformer
    tokenizer: Tokenizer
    recipe: Recipe
    text: str
    answer: str | None
    store: TokenStore
    rows: Rows

    @property
    def config(self) -> StageConfig:
        """The stage's configuration, for a batch of one row."""
        return self.recipe.stage(self.stage).replace(batch_size=1, micro_batch_size=1)


@contextmanager
def open_input(request: TraceRequest) -> Iterator[TraceInput]:
    """Load the model and encode the text. Raises UserError.

    Nothing is written into the run: the row's tokens go to a temporary directory.
    """
    _check_request(request)
    run = registry.open_run(request.run_name)
    # The trace sees PyTorch's operations, unless they are compiled.
    recipe = run.recipe.replace(kernel="pytorch", compile=False)
    tokenizer = load_tokenizer(run)
    stage, step, model = _load_model(run, request)
    with tempfile.TemporaryDirectory() as directory:
        store = _store_tokens(request, tokenizer, Path(directory))
        seq_len = recipe.stage(stage).seq_len
        if len(store) - 1 > seq_len:  # a row of n inputs needs n + 1 tokens
            raise UserError(
                f"the text has {len(store):,} tokens, more than the {seq_len + 1:,} of a row of "
                "this run",
                "use a shorter text",
            )
        devices.configure_torch(recipe.n_threads)
        rows = _make_rows(request, store, tokenizer.pad_id, stage)
        yield TraceInput(
            run, stage, step, model, tokenizer, recipe, request.text, request.answer, store, rows
        )


def _check_request(request: TraceRequest) -> None:
    for name, text in (("the text", request.text), ("--answer", request.answer)):
        if text is not None and not text.strip():
            raise UserError(f"{name} is empty", "write at least one word")
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            raise UserError(f"{name} is not UTF-8", "set the terminal to UTF-8") from None
    if request.fresh and request.stage:
        raise UserError(
            "--fresh and --stage exclude each other", "leave out --stage for the initial weights"
        )


def _load_model(run: Run, request: TraceRequest) -> tuple[Stage, int, Transformer]:
    """Return stage, step and model, with the attention that the run trains with."""
    model = Transformer(run.recipe.model, run.recipe.attention)
    if request.fresh:
        return "pretrain", 0, model.init_weights(run.recipe.seed)
    stage, checkpoint = run.newest_of(request.stage)
    hf_format.load_weights(model, checkpoint.directory)
    return stage, checkpoint.step, model


def _store_tokens(request: TraceRequest, tokenizer: Tokenizer, directory: Path) -> TokenStore:
    def ignore(counts: Counts) -> None:
        pass

    if request.answer is None:
        return store_texts(directory, [request.text], tokenizer, NO_LIMIT, ignore)
    messages = [
        {"role": "user", "content": request.text},
        {"role": "assistant", "content": request.answer},
    ]
    return store_conversations(directory, [messages], tokenizer, NO_LIMIT, ignore)


def _make_rows(request: TraceRequest, store: TokenStore, pad: int, stage: Stage) -> Rows:
    """Return one row, exactly as long as the text. In midtraining every token of a conversation is
    a target."""
    if request.answer is None:
        return TextRows(store, len(store) - 1, pad)
    return PackedRows(store, len(store) - 1, pad, assistant_only=stage != "midtrain")
