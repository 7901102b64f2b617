"""What is measured of every stage: bits per byte, the loss on held-out conversations, the exam, and
what it writes when asked. The same text and questions for each, so that they can be compared.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from firstwords import checkpoint, console, files, machine
from firstwords.conversation import encode_prompt
from firstwords.data import corpora
from firstwords.data.rows import PackedRows, stack
from firstwords.data.starter.exam import PER_CATEGORY
from firstwords.data.tokens import TokenStore, store_texts
from firstwords.errors import UserError
from firstwords.evaluation import bits_per_byte as bpb
from firstwords.evaluation import exam
from firstwords.evaluation.exam import Taken
from firstwords.inference.chat import answer
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.model import IGNORE, Transformer
from firstwords.recipe import Stage
from firstwords.run import Run
from firstwords.stages.common import (
    chat_store,
    follow,
    load_tokenizer,
    padding,
    text_store,
)
from firstwords.stages.tokenizer import take
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

BEGINNINGS = ("Once upon a time", "The sun is", "Water is")
QUESTIONS = (
    "Hello! Who are you?",
    "What is the capital of France?",
    "What is 12 times 34?",
    "Why is the sky blue?",
    "Tell me a short story about a dog.",
)
NO_BOUND = 1 << 62  # tokens
SAMPLING = Sampling(temperature=0.5, top_k=40, max_tokens=80, seed=0)


def is_evaluated(run: Run, stage: Stage) -> bool:
    return run.evaluation(stage).exists()


def evaluate_stage(run: Run, stage: Stage) -> None:
    """Write evaluation/STAGE.json, and the exam's wrong answers. Raises UserError if the stage is
    not finished."""
    found = run.finished_or_fail(stage)
    tokenizer = load_tokenizer(run)
    model = checkpoint.load_model(found.directory)
    text = text_store(run, tokenizer, "val")
    chat = chat_store(run, tokenizer, "val")
    with console.progress(f"evaluating {stage}", 3, "parts") as meter:
        bits = bpb.bits_per_byte(model, text, model.config.max_seq_len, tokenizer.special_ids)
        meter.advance(1, "bits per byte")
        chat_loss = answer_loss(model, chat, padding(tokenizer))
        meter.advance(1, "answers")
        samples = write_samples(model, tokenizer)
        meter.advance(1, "samples")
    tasks = {"bits_per_byte": task(bits)}
    if learned_the_starter(run):
        taken = take_exam(model, tokenizer, stage, run.recipe.exam_items)
        tasks["exam"] = taken.task
        files.write_json_lines(run.wrong_answers(stage), taken.wrong)
    result = {
        "stage": stage,
        "step": found.step,
        "tasks": tasks,
        "chat_loss": chat_loss,
        "samples": samples,
    }
    files.write_json(run.evaluation(stage), result)


def task(bits: bpb.BitsPerByte) -> dict[str, Any]:
    return {
        "score": bits.score,
        "chance": bpb.CHANCE,
        "ci95": list(bits.ci95),
        "n": bits.n,
        "text_bytes": bits.text_bytes,
    }


def learned_the_starter(run: Run) -> bool:
    """Whether the exam asks what the run's conversations taught."""
    return corpora.open_corpus(run.manifest.sources.chat_data, "--chat-data").is_starter


def take_exam(model: Transformer, tokenizer: Tokenizer, stage: Stage, per_category: int) -> Taken:
    total = len(exam.questions(stage, per_category))
    with console.progress(f"exam of {stage}", total, "questions") as meter:
        return exam.take(model, tokenizer, stage, per_category, meter.advance)


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


def write_samples(model: Transformer, tokenizer: Tokenizer) -> list[dict[str, str]]:
    """Continuations of a few beginnings, answers to a few questions."""
    engine = Engine(model)
    prompts = [
        (text, [tokenizer.special(END_OF_TEXT), *tokenizer.encode(text)]) for text in BEGINNINGS
    ]
    prompts += [
        (text, encode_prompt(tokenizer, [{"role": "user", "content": text}])) for text in QUESTIONS
    ]
    return [
        {
            "prompt": text,
            "kind": "question" if text in QUESTIONS else "beginning",
            "answer": "".join(e.content for e in answer(engine, tokenizer, ids, SAMPLING)).strip(),
        }
        for text, ids in prompts
    ]


TASKS = ("bits_per_byte", "exam")


def evaluate(
    run: Run, stage: Stage | None, tasks: tuple[str, ...], max_items: int | None
) -> dict[str, Any]:
    """The tasks for one stage's newest checkpoint. `max_items` bounds the held-out documents and
    the exam's questions in each category: None takes as many as training, 0 all. Raises
    UserError."""
    chosen, found = run.newest_of(stage)
    machine.setup(run.recipe.n_threads)
    tokenizer = load_tokenizer(run)
    model = checkpoint.load_model(found.directory)
    results: dict[str, Any] = {}
    if "bits_per_byte" in tasks:
        with held_out(run, tokenizer, max_items) as store:
            bits = bpb.bits_per_byte(model, store, model.config.max_seq_len, tokenizer.special_ids)
        results["bits_per_byte"] = task(bits)
    if "exam" in tasks:
        count = run.recipe.exam_items if max_items is None else max_items or PER_CATEGORY
        results["exam"] = take_exam(model, tokenizer, chosen, count).task
    return {"run": run.name, "stage": chosen, "tasks": results}


def describe(result: dict[str, Any]) -> str:
    """The result of `evaluate` in words, a score a line."""
    lines = [f"{result['run']}, {result['stage']}"]
    if bits := result["tasks"].get("bits_per_byte"):
        low, high = bits["ci95"]
        lines.append(
            f"{bits['score']:.4f} bits per byte (95 % interval {low:.4f} to {high:.4f}; chance "
            f"{bits['chance']:g}) on {bits['n']:,} documents"
        )
    if whole := result["tasks"].get("exam"):
        for score in (*whole["categories"].values(), {**whole, "title": "the whole exam"}):
            low, high = score["ci95"]
            lines.append(
                f"{score['title']:<32} {score['score']:4.0%}  ({low:.0%} to {high:.0%}; always the "
                f"same answer: {score['chance']:.0%}; {score['n']} questions)"
            )
        lines.append(
            f"{whole['empty']} empty answers, {whole['broken_calls']} broken calculator calls"
        )
    return "\n".join(lines)


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
