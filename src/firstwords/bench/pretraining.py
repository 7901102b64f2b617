"""Pretraining alone, from a recipe to bits per byte, for the miniseries and the race.

It uses an ordinary run directory with only a tokenizer and the pretrain stage, so an interrupted
benchmark resumes. The learning rate decays to its end, since no other stage follows.
"""

import shutil
from pathlib import Path
from typing import Any

from firstwords import __version__
from firstwords.common import console, devices
from firstwords.common.signals import StopSignal
from firstwords.evaluation import evaluate as evaluation
from firstwords.model import hf_format
from firstwords.pipeline.phases import run_phase
from firstwords.recipe import Recipe
from firstwords.runs import registry
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.manifest import Manifest, Sources, now
from firstwords.runs.run import Run
from firstwords.training.session import Session

# docs/lab-notebook.md#model-size-for-a-budget
DECAY_FRACTION, FINAL_LR_FRACTION = 0.6, 0.02
MAX_WARMUP_STEPS = 40


def pretrain_only(recipe: Recipe, tokens: float) -> Recipe:
    """Return the recipe with a pretrain stage of that many tokens whose learning rate decays to its
    end."""
    steps = max(1, round(tokens / recipe.pretrain.batch_tokens))
    stage = recipe.pretrain.replace(
        steps=steps,
        lr_scale=1.0,
        warmup_steps=min(MAX_WARMUP_STEPS, -(-steps // 20)),
        decay_fraction=DECAY_FRACTION,
        final_lr_fraction=FINAL_LR_FRACTION,
    )
    return recipe.replace(pretrain=stage, tokenizer_chat_fraction=0.0)


def open_or_create_run(directory: Path, recipe: Recipe, data: str) -> Run:
    """Open the run in `directory`, creating it if there is none."""
    if registry.run_exists(directory):
        return registry.open_run_directory(directory)
    return registry.create_run(
        directory,
        Manifest(
            firstwords=__version__,
            created=now(),
            time=1.0,
            sources=Sources(data=data),
            recipe=recipe,
            machine=devices.describe_machine(),
            predicted={},
        ),
    )


def train_tokenizer(run: Run, stop: StopSignal, like: Run | None = None) -> None:
    """Train the run's tokenizer, or copy that of another run on the same data."""
    if like and not run.tokenizer_path.exists():
        for path in (like.tokenizer_path, like.tokenizer_stats_path):
            run.tokenizer_path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, run.tokenizer_path.parent / path.name)
    run_phase(Session(run, stop=stop), "tokenizer")


def pretrain(run: Run, stop: StopSignal) -> None:
    """Pretrain the run, resuming from its newest checkpoint."""
    run_phase(Session(run, stop=stop), "pretrain")


def measure_bits_per_byte(run: Run, max_items: int | None = None) -> dict[str, Any]:
    """Measure the pretrained model on `max_items` held-out documents: None for as many as the
    recipe says, 0 for all."""
    _, checkpoint = run.newest_of("pretrain")
    model = hf_format.load_model(checkpoint.directory, devices.device_or_cpu(run.recipe.device))
    bits = evaluation.held_out_bits(run, model, load_tokenizer(run), max_items)
    console.say(f"{bits['score']:.4f} bits per byte")
    return bits
