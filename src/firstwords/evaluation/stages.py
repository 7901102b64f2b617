"""The evaluation phase of a run: all stages measured on the same text and questions.

Each stage gets its bits per byte, the loss on held-out conversations, the exam, the published
benchmarks, and samples. These parts are independent of each other: with several processes each
takes some, and after an interruption only the missing ones are computed.
"""

from typing import Any

from firstwords.common import console, devices, files
from firstwords.evaluation import growth_samples
from firstwords.evaluation.benchmarks import BENCHMARKS, OWN, benchmarks_for
from firstwords.evaluation.eval_data import open_eval_data
from firstwords.evaluation.runner import BenchmarkRunner, run_benchmark
from firstwords.evaluation.tasks import (
    answer_loss,
    bits_per_byte_result,
    document_sources,
    exam_applies,
    n_training_items,
)
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import Stage
from firstwords.runs.datasets import chat_store, load_tokenizer, text_store
from firstwords.runs.documents import (
    Answer,
    BenchmarkScore,
    BitsPerByte,
    ExamScore,
    Number,
    Unscored,
    read_or_none,
)
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.session import Session

CHAT_LOSS, SAMPLES = "chat_loss", "samples"  # parts that are not tasks
PART_KINDS: dict[str, Any] = {
    "bits_per_byte": BitsPerByte,
    "exam": ExamScore,
    CHAT_LOSS: Number,
    SAMPLES: list[Answer],
}


def evaluate_stages(session: Session) -> None:
    """Write `evaluation/STAGE.json` of each stage that has none, and the records of every item.

    Raises UserError if a stage is not finished.
    """
    run, world = session.run, session.world
    with world.main_process_first():
        _encode_held_out(run)
    parts = [
        (stage, part)
        for stage in run.recipe.stages
        if not run.read_evaluation(stage)
        for part in ("bits_per_byte", CHAT_LOSS, SAMPLES, *_benchmark_names(run))
    ]
    own_parts = parts[world.rank :: world.size]
    for stage in dict.fromkeys(stage for stage, _ in own_parts):
        _evaluate_parts(run, stage, [part for of, part in own_parts if of == stage])
    world.barrier()
    if world.is_main:
        for stage in dict.fromkeys(stage for stage, _ in parts):
            _merge_parts(run, stage, [part for of, part in parts if of == stage])
        for path in run.evaluation_parts():
            path.unlink()


def _encode_held_out(run: Run) -> None:
    """Encode the text and conversations that all stages are measured on."""
    tokenizer = load_tokenizer(run)
    text_store(run, tokenizer, "val")
    chat_store(run, tokenizer, "val")


def _evaluate_parts(run: Run, stage: Stage, parts: list[str]) -> None:
    """Compute and write those of a stage's parts that are missing."""
    checkpoint, tokenizer = run.finished_or_fail(stage), load_tokenizer(run)
    device = devices.device_or_cpu(run.recipe.device)
    model = hf_format.load_model(checkpoint.directory, device)
    with console.progress(f"evaluating {stage}", len(parts), "parts") as meter:
        for part in parts:
            path = run.evaluation_part(stage, part)
            if _read_part(run, stage, part) is None:
                files.write_json(path, _evaluate_part(run, stage, part, model, tokenizer))
            meter.advance(1, part)


def _evaluate_part(
    run: Run, stage: Stage, part: str, model: Transformer, tokenizer: Tokenizer
) -> Any:
    if part == "bits_per_byte":
        text = text_store(run, tokenizer, "val")
        return bits_per_byte_result(
            model, tokenizer, text, document_sources(run, len(text.lengths))
        )
    if part == CHAT_LOSS:
        return answer_loss(model, chat_store(run, tokenizer, "val"), tokenizer.pad_id)
    if part == SAMPLES:
        return growth_samples.generate_samples(model, tokenizer)
    runner, limit = BenchmarkRunner(model, tokenizer), n_training_items(run, part)
    benchmark = benchmarks_for(run.manifest.personality)[part]
    outcome = run_benchmark(benchmark, runner, run.last_trained(stage), open_eval_data(None), limit)
    files.write_json_lines(run.records(stage, part), outcome.records)
    return outcome.result


def _read_part(run: Run, stage: Stage, part: str) -> Any:
    """Return the result of a part, or None if it is missing or damaged."""
    kind = PART_KINDS.get(part, BenchmarkScore | Unscored)
    return read_or_none(kind, run.evaluation_part(stage, part))


def _merge_parts(run: Run, stage: Stage, parts: list[str]) -> None:
    """Write a stage's evaluation, one document of all its parts."""
    tasks = {part: files.read_json(run.evaluation_part(stage, part)) for part in parts}
    others = {part: tasks.pop(part) for part in (CHAT_LOSS, SAMPLES)}
    step = run.finished_or_fail(stage).step
    files.write_json(
        run.evaluation(stage), {"stage": stage, "step": step, "tasks": tasks, **others}
    )


def _benchmark_names(run: Run) -> list[str]:
    """Return the benchmarks of the evaluation phase: those of Firstwords if the run trained on the
    starter curriculum, and the published ones if the plan found their data."""
    published = [name for name in BENCHMARKS if name not in OWN]
    return [*OWN] * exam_applies(run) + published * bool(run.recipe.benchmark_items)
