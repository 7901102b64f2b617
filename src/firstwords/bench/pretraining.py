"""Pretraining alone, from a recipe to bits per byte: what the miniseries and the race are made of.

A run directory as any other, of which only the tokenizer and the base stage are made; so it goes on
after an interruption. The learning rate decays to its end, since no other stage follows.
"""

import shutil
from pathlib import Path
from typing import Any

from firstwords import __version__, checkpoint, console, machine, pipeline
from firstwords import run as runs
from firstwords.evaluation import stage as evaluation
from firstwords.recipe import Recipe
from firstwords.run import Manifest, Run, Sources
from firstwords.signals import Stop
from firstwords.stages.common import load_tokenizer

DECAY, FINAL = 0.6, 0.02  # of the steps; of the peak rate (docs/lab-notebook.md)
WARMUP_STEPS = 40


def alone(recipe: Recipe, tokens: float) -> Recipe:
    """The recipe with a base stage of that many tokens that stands for itself."""
    steps = max(1, round(tokens / recipe.base.batch_tokens))
    stage = recipe.base.model_copy(
        update={
            "steps": steps,
            "lr_scale": 1.0,
            "warmup_steps": min(WARMUP_STEPS, -(-steps // 20)),
            "decay_fraction": DECAY,
            "final_lr": FINAL,
        }
    )
    return recipe.model_copy(update={"base": stage, "tokenizer_chat": 0.0})


def opened(directory: Path, recipe: Recipe, data: str) -> Run:
    """The run in `directory`, started there if that has not been done."""
    if runs.exists(directory):
        return runs.open_directory(directory)
    return runs.create(
        directory,
        Manifest(
            firstwords=__version__,
            created=runs.now(),
            time=1.0,
            sources=Sources(data=data),
            recipe=recipe,
            machine=machine.describe(),
            predicted={},
        ),
    )


def tokenizer_of(run: Run, stop: Stop, like: Run | None = None) -> None:
    """Train the run's tokenizer, or copy that of another run on the same data."""
    if like and not run.tokenizer_path.exists():
        for path in (like.tokenizer_path, like.tokenizer_stats_path):
            run.tokenizer_path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, run.tokenizer_path.parent / path.name)
    pipeline.run_phase(run, pipeline.PHASES[0], stop)


def pretrain(run: Run, stop: Stop) -> None:
    pipeline.run_phase(run, pipeline.PHASES[1], stop)


def bits_per_byte(run: Run, max_items: int | None = None) -> dict[str, Any]:
    """Of `max_items` held-out documents: None for as many as the recipe says, 0 for all."""
    _, found = run.newest_of("base")
    model = checkpoint.load_model(found.directory, machine.at_hand(run.recipe.device))
    tokenizer = load_tokenizer(run)
    bits = evaluation.held_out_bits(run, model, tokenizer, max_items)
    console.say(f"{bits['score']:.4f} bits per byte")
    return bits
