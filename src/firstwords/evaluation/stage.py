"""What is measured of every stage: bits per byte, the loss on held-out conversations, the exam, and
what it writes when asked. The same text and questions for each, so that they can be compared.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from firstwords import album, checkpoint, console, files, machine
from firstwords.checkpoint import Checkpoint
from firstwords.data import corpora
from firstwords.data.rows import PackedRows, stack
from firstwords.data.tokens import TokenStore, store_texts
from firstwords.errors import UserError
from firstwords.evaluation import bits_per_byte as bpb
from firstwords.evaluation.benchmark import Taker
from firstwords.evaluation.benchmarks import BENCHMARKS
from firstwords.evaluation.benchmarks.humaneval import UNSAFE
from firstwords.evaluation.data import opened
from firstwords.evaluation.taking import take_benchmark
from firstwords.model import IGNORE, Transformer
from firstwords.recipe import STAGES, Stage
from firstwords.run import Run
from firstwords.stages.common import (
    chat_store,
    follow,
    load_tokenizer,
    padding,
    text_store,
)
from firstwords.stages.tokenizer import take
from firstwords.tokenizer import Tokenizer

TASKS = ("bits_per_byte", *BENCHMARKS)
CHAT_LOSS, SAMPLES = "chat_loss", "samples"  # parts that are no tasks
ITEMS = 100  # of a benchmark's part, where neither the run nor the user says how many
NO_BOUND = 1 << 62  # tokens


def is_evaluated(run: Run) -> bool:
    return all(run.evaluation(stage).exists() for stage in STAGES) and not run.evaluation_parts()


def prepare_evaluation(run: Run) -> None:
    """Encode what all stages are measured on."""
    tokenizer = load_tokenizer(run)
    text_store(run, tokenizer, "val")
    chat_store(run, tokenizer, "val")


def evaluate_stages(run: Run) -> None:
    """Write evaluation/STAGE.json of those stages that have none, and what came of every item. The
    processes deal out the parts, and a part that is done is not done again. Raises UserError if a
    stage is not finished."""
    with run.world.leader_first():
        prepare_evaluation(run)
    parts = [
        (stage, part)
        for stage in STAGES
        if not run.evaluation(stage).exists()
        for part in ("bits_per_byte", CHAT_LOSS, SAMPLES, *taken_by(run))
    ]
    mine = parts[run.world.rank :: run.world.size]
    for stage in dict.fromkeys(stage for stage, _ in mine):
        evaluate_parts(run, stage, [part for of, part in mine if of == stage])
    run.world.barrier()
    if run.world.leads:
        for stage in dict.fromkeys(stage for stage, _ in parts):
            put_together(run, stage, [part for of, part in parts if of == stage])
        for path in run.evaluation_parts():
            path.unlink()


def evaluate_parts(run: Run, stage: Stage, parts: list[str]) -> None:
    found, tokenizer = run.finished_or_fail(stage), load_tokenizer(run)
    model = checkpoint.load_model(found.directory, machine.at_hand(run.recipe.device))
    with console.progress(f"evaluating {stage}", len(parts), "parts") as meter:
        for part in parts:
            path = run.evaluation_part(stage, part)
            if not path.exists():
                files.write_json(path, evaluate_part(run, stage, part, model, tokenizer))
            meter.advance(1, part)


def evaluate_part(
    run: Run, stage: Stage, part: str, model: Transformer, tokenizer: Tokenizer
) -> Any:
    if part == "bits_per_byte":
        text = text_store(run, tokenizer, "val")
        return task(model, tokenizer, text, sources(run, len(text.lengths)))
    if part == CHAT_LOSS:
        return answer_loss(model, chat_store(run, tokenizer, "val"), padding(tokenizer))
    if part == SAMPLES:
        return album.write_samples(model, tokenizer)
    taker, items = Taker(model, tokenizer), items_of(run, part)
    taken = take_benchmark(BENCHMARKS[part], taker, stage, opened(None), items)
    files.write_json_lines(run.records(stage, part), taken.records)
    return taken.result


def put_together(run: Run, stage: Stage, parts: list[str]) -> None:
    """One document of a stage's parts."""
    done = {part: files.read_json(run.evaluation_part(stage, part)) for part in parts}
    own = {part: done.pop(part) for part in (CHAT_LOSS, SAMPLES)}
    step = run.finished_or_fail(stage).step
    files.write_json(run.evaluation(stage), {"stage": stage, "step": step, "tasks": done, **own})


def taken_by(run: Run) -> list[str]:
    """The benchmarks that training takes: the exam if the curriculum was taught, and the published
    ones if the plan found their data."""
    published = [name for name in BENCHMARKS if name != "exam"]
    return ["exam"] * learned_the_starter(run) + published * bool(run.recipe.benchmark_items)


def items_of(run: Run, name: str) -> int:
    """How many training asks, in each part."""
    return run.recipe.exam_items if name == "exam" else run.recipe.benchmark_items


def task(
    model: Transformer, tokenizer: Tokenizer, text: TokenStore, sources: list[str]
) -> dict[str, Any]:
    """Bits per byte, as a task's result."""
    bits = bpb.bits_per_byte(model, text, model.config.max_seq_len, tokenizer.special_ids, sources)
    whole = {"title": "bits per byte", **_score(bits), "text_bytes": bits.text_bytes}
    categories = {name: {"title": name, **_score(of)} for name, of in bits.by_source.items()}
    return {**whole, "categories": categories if len(categories) > 1 else {}}


def _score(bits: bpb.BitsPerByte) -> dict[str, Any]:
    return {"score": bits.score, "chance": bpb.CHANCE, "ci95": list(bits.ci95), "n": bits.n}


def sources(run: Run, count: int) -> list[str]:
    """Where the first held-out documents are from."""
    corpus = corpora.open_corpus(run.manifest.sources.data, "--data")
    held_out = corpora.documents(corpus, "val", run.recipe.seed)
    return [document.source for document in islice(held_out, count)]


def learned_the_starter(run: Run) -> bool:
    """Whether the exam asks what the run's conversations taught."""
    return corpora.open_corpus(run.manifest.sources.chat_data, "--chat-data").is_starter


@torch.inference_mode()
def answer_loss(model: Transformer, store: TokenStore, pad: int) -> float:
    """Nats per token that the assistant wrote in held-out conversations."""
    rows = PackedRows(store, model.config.max_seq_len, pad, masked=True)
    total, targets = 0.0, 0
    for first in range(0, len(rows), bpb.BATCH_ROWS):
        x_BT, y_BT = stack(rows, range(first, min(first + bpb.BATCH_ROWS, len(rows))))
        total += float(model.loss(x_BT, y_BT, reduction="sum"))
        targets += int((y_BT != IGNORE).sum())
    return total / max(1, targets)


class Request(NamedTuple):
    """What `firstwords eval` was asked for. `max_items` bounds the held-out documents and the items
    of each part of a benchmark: None takes as many as training, 0 all."""

    stage: Stage | Literal["all"] | None = None
    tasks: tuple[str, ...] | None = None
    max_items: int | None = None
    folder: Path | None = None
    unsafe_code: bool = False


def evaluate(run: Run, request: Request) -> dict[str, Any]:
    """The tasks for the newest checkpoint of a stage, or of each, with their records written beside
    the run's evaluation. Where data is absent the result says so; raises UserError if the task was
    asked for by name."""
    wanted = STAGES if request.stage == "all" else [request.stage]
    checkpoints = [run.newest_of(stage) for stage in wanted]
    machine.setup(run.recipe.n_threads)
    results = [_evaluate(run, stage, found, request) for stage, found in checkpoints]
    stages = results[0] if request.stage != "all" else {"stages": results}
    return {"run": run.name, **stages}


def _evaluate(run: Run, stage: Stage, found: Checkpoint, request: Request) -> dict[str, Any]:
    benchmarks = BENCHMARKS | ({"humaneval": UNSAFE} if request.unsafe_code else {})
    asked = request.tasks or [n for n in TASKS if n != "exam" or learned_the_starter(run)]
    data, tokenizer = opened(request.folder), load_tokenizer(run)
    model = checkpoint.load_model(found.directory, machine.at_hand(run.recipe.device))
    taker, by_name = Taker(model, tokenizer), request.tasks is not None
    tasks = {}
    if "bits_per_byte" in asked:
        tasks["bits_per_byte"] = held_out_bits(run, model, tokenizer, request.max_items)
    for name in (task for task in asked if task in benchmarks):
        usual = items_of(run, name) or ITEMS
        count = usual if request.max_items is None else request.max_items
        taken = take_benchmark(benchmarks[name], taker, stage, data, count, by_name)
        tasks[name] = taken.result
        if taken.records:
            path = run.records(stage, name)
            files.write_json_lines(path, taken.records)
            tasks[name] |= {"records": str(path)}
    return {"stage": stage, "tasks": tasks}


def held_out_bits(
    run: Run, model: Transformer, tokenizer: Tokenizer, max_items: int | None
) -> dict[str, Any]:
    with held_out(run, tokenizer, max_items) as store:
        return task(model, tokenizer, store, sources(run, len(store.lengths)))


@contextmanager
def held_out(run: Run, tokenizer: Tokenizer, max_items: int | None) -> Iterator[TokenStore]:
    """Held-out text, encoded aside: the run may be at work."""
    corpus = corpora.open_corpus(run.manifest.sources.data, "--data")
    if corpus.is_starter and max_items == 0:
        raise UserError("--max-items 0", "the starter text has no end; give a number")
    documents = corpora.texts(corpus, "val", run.recipe.seed)
    if max_items is None:
        documents = take(documents, run.recipe.val_bytes)
    elif max_items:
        documents = islice(documents, max_items)
    with (
        tempfile.TemporaryDirectory() as directory,
        console.progress("encoding held-out text", 0, "tokens") as meter,
    ):
        yield store_texts(Path(directory), documents, tokenizer, NO_BOUND, follow(meter))
