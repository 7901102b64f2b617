"""`firstwords eval`: evaluate the newest checkpoint of one stage, or of each."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from firstwords.common import console, devices, disk, files
from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.data.corpora import take_bytes
from firstwords.data.token_store import TokenStore, store_texts
from firstwords.evaluation.benchmark import Benchmark
from firstwords.evaluation.benchmarks import OWN, benchmarks_for
from firstwords.evaluation.benchmarks.humaneval import HUMANEVAL_UNSAFE
from firstwords.evaluation.eval_data import open_eval_data
from firstwords.evaluation.runner import BenchmarkRunner, run_benchmark
from firstwords.evaluation.tasks import (
    TASKS,
    bits_per_byte_result,
    document_sources,
    exam_applies,
    n_training_items,
)
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import Stage
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.datasets import load_tokenizer, open_text, progress_callback
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer

DEFAULT_ITEMS = 100  # per category of a benchmark, if neither the run nor the user sets a number
UNLIMITED_TOKENS = 1 << 62


class EvalRequest(NamedTuple):
    """The options of `firstwords eval`.

    `max_items` limits the held-out documents and the items of each category of a benchmark: None
    for as many as in training, 0 for all.
    """

    stage: Stage | Literal["all"] | None = None
    tasks: tuple[str, ...] | None = None
    max_items: int | None = None
    folder: Path | None = None
    unsafe_code: bool = False


def evaluate(run: Run, request: EvalRequest) -> dict[str, Any]:
    """Run the tasks on the newest checkpoint of the requested stages; return the results.

    The records of every item are written to the run's directory. A task without data is marked in
    the result; if it was requested by name, UserError is raised instead. A chat benchmark is left
    out for the pretrained model.
    """
    stages = run.recipe.stages if request.stage == "all" else [request.stage]
    checkpoints = [run.newest_of(stage) for stage in stages]
    devices.configure_torch(run.recipe.n_threads)
    results = [_evaluate(run, stage, checkpoint, request) for stage, checkpoint in checkpoints]
    result = results[0] if request.stage != "all" else {"stages": results}
    return {"run": run.name, **result}


def _evaluate(
    run: Run, stage: Stage, checkpoint: Checkpoint, request: EvalRequest
) -> dict[str, Any]:
    benchmarks = benchmarks_for(run.manifest.personality)
    benchmarks |= {"humaneval": HUMANEVAL_UNSAFE} if request.unsafe_code else {}
    names = request.tasks or [n for n in TASKS if n not in OWN or exam_applies(run)]
    trained = run.last_trained(stage)
    if trained == "pretrain":
        names = _pretrain_names(names, request, benchmarks)
    data, tokenizer = open_eval_data(request.folder), load_tokenizer(run)
    device = devices.device_or_cpu(run.recipe.device)
    model = hf_format.load_model(checkpoint.directory, device)
    runner, required = BenchmarkRunner(model, tokenizer), request.tasks is not None
    tasks = {}
    if "bits_per_byte" in names:
        tasks["bits_per_byte"] = held_out_bits(run, model, tokenizer, request.max_items)
    for name in (name for name in names if name in benchmarks):
        default = n_training_items(run, name) or DEFAULT_ITEMS
        limit = default if request.max_items is None else request.max_items
        outcome = run_benchmark(benchmarks[name], runner, trained, data, limit, required)
        tasks[name] = outcome.result
        if outcome.records:
            path = run.records(stage, name)
            with disk.optional_output("the model's answers"):
                files.write_json_lines(path, outcome.records)
                tasks[name] |= {"records": str(path)}
    return {"stage": stage, "tasks": tasks}


def _pretrain_names(
    names: Sequence[str], request: EvalRequest, benchmarks: dict[str, Benchmark]
) -> list[str]:
    """Leave out the benchmarks for chat stages. Raises UserError if the user asks for just that."""
    chat_only = [name for name in names if name in benchmarks and benchmarks[name].chat_only]
    if chat_only and request.tasks and request.stage != "all":
        raise UserError(
            f"--tasks {', '.join(chat_only)} needs a model that chats",
            "use --stage midtrain, sft or all",
        )
    return [name for name in names if name not in chat_only]


def held_out_bits(
    run: Run, model: Transformer, tokenizer: Tokenizer, max_items: int | None
) -> dict[str, Any]:
    """Return the bits per byte of the run's held-out text, as a task's result."""
    with _held_out_store(run, tokenizer, max_items) as store:
        return bits_per_byte_result(
            model, tokenizer, store, document_sources(run, len(store.lengths))
        )


@contextmanager
def _held_out_store(run: Run, tokenizer: Tokenizer, max_items: int | None) -> Iterator[TokenStore]:
    """Encode held-out text into a temporary store: the run itself may be training."""
    corpus = open_text(run)
    if corpus.has_starter and max_items == 0:
        raise UserError("--max-items 0 is all, but the starter text is endless", "give a number")
    documents = corpora.texts(corpus, "val", run.recipe.seed)
    if max_items is None:
        documents = take_bytes(documents, run.recipe.val_bytes)
    elif max_items:
        documents = islice(documents, max_items)
    with (
        tempfile.TemporaryDirectory() as directory,
        console.progress("encoding held-out text", 0, "tokens") as meter,
    ):
        yield store_texts(
            Path(directory), documents, tokenizer, UNLIMITED_TOKENS, progress_callback(meter)
        )
