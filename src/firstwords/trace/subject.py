"""What is traced: a text, made into a row by the code that training uses, and a copy of a model."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from firstwords import checkpoint, machine
from firstwords import run as runs
from firstwords.data.rows import PackedRows, Rows, TextRows
from firstwords.data.tokens import Counts, TokenStore, store_conversations, store_texts
from firstwords.errors import UserError
from firstwords.model import Transformer
from firstwords.recipe import Recipe, Stage, StageConfig
from firstwords.run import Run
from firstwords.stages.common import load_tokenizer, padding
from firstwords.tokenizer import Tokenizer

NO_BOUND = 1 << 62  # tokens


class Request(NamedTuple):
    """`answer` makes a conversation of the text; `fresh` takes the weights before training."""

    text: str
    answer: str | None = None
    name: str | None = None
    stage: Stage | None = None
    fresh: bool = False


class Subject(NamedTuple):
    """`step` is that of the checkpoint, 0 for fresh weights; `stage` says whose rates are used."""

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
        """The stage's, for a batch of this one row."""
        return self.recipe.stage(self.stage).model_copy(update={"batch_rows": 1, "micro_rows": 1})


@contextmanager
def opened(request: Request) -> Iterator[Subject]:
    """Raises UserError. Nothing is written into the run: the row's tokens are stored aside."""
    _check(request)
    run = runs.open_run(request.name)
    recipe = run.recipe.model_copy(update={"compile": False})  # hooks see what is not compiled
    tokenizer = load_tokenizer(run)
    stage, step, model = _model(run, request)
    with tempfile.TemporaryDirectory() as directory:
        store = _store(request, tokenizer, Path(directory))
        longest = recipe.stage(stage).seq_len
        if len(store) - 1 > longest:
            raise UserError(
                f"the text has {len(store):,} tokens",
                f"a row of this run holds {longest}, and the first target; give a shorter one",
            )
        machine.setup(recipe.n_threads)
        rows = _rows(request, store, padding(tokenizer), stage)
        yield Subject(
            run, stage, step, model, tokenizer, recipe, request.text, request.answer, store, rows
        )


def _check(request: Request) -> None:
    for what, text in (("the text", request.text), ("--answer", request.answer)):
        if text is not None and not text.strip():
            raise UserError(what, "it is empty; write something")
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            raise UserError(what, "it is not UTF-8; set the terminal to UTF-8") from None
    if request.fresh and request.stage:
        raise UserError("--fresh", "it means the weights before any stage; leave out --stage")


def _model(run: Run, request: Request) -> tuple[Stage, int, Transformer]:
    if request.fresh:
        return "base", 0, Transformer(run.recipe.model).init_weights(run.recipe.seed)
    stage, found = run.newest_of(request.stage)
    return stage, found.step, checkpoint.load_model(found.directory)


def _store(request: Request, tokenizer: Tokenizer, directory: Path) -> TokenStore:
    def ignore(counts: Counts) -> None:
        pass

    if request.answer is None:
        return store_texts(directory, [request.text], tokenizer, NO_BOUND, ignore)
    messages = [
        {"role": "user", "content": request.text},
        {"role": "assistant", "content": request.answer},
    ]
    return store_conversations(directory, [messages], tokenizer, NO_BOUND, ignore)


def _rows(request: Request, store: TokenStore, pad: int, stage: Stage) -> Rows:
    """One row, exactly as long as the text. Midtraining is the stage that learns from whole
    conversations."""
    if request.answer is None:
        return TextRows(store, len(store) - 1, pad)
    return PackedRows(store, len(store) - 1, pad, masked=stage != "mid")
