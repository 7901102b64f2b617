"""Factories for recipes, models and runs that are small enough for a test."""

import json
from pathlib import Path
from typing import Any

import torch

from firstwords.common import files
from firstwords.model.transformer import Transformer
from firstwords.recipe import REQUIRED_STAGES, ModelConfig, Recipe, Stage, StageConfig
from firstwords.runs import registry
from firstwords.runs.manifest import Manifest, Sources
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training import checkpoint
from firstwords.training.optimizer import Optimizer

STAGE = StageConfig(steps=20, batch_size=2, micro_batch_size=2, seq_len=32)


def tiny_config(**changes: Any) -> ModelConfig:
    """Two layers with grouped queries, and constants that are not the defaults."""
    config = ModelConfig(
        vocab_size=512,
        n_layer=2,
        n_embd=32,
        n_head=4,
        n_kv_head=2,
        head_dim=8,
        n_hidden=48,
        max_seq_len=64,
        rope_theta=5_000.0,
        norm_eps=1e-5,
    )
    return config.replace(**changes)


def tiny_model(seed: int = 0, **changes: Any) -> Transformer:
    """A model of that shape with the initial weights of training."""
    return Transformer(tiny_config(**changes)).init_weights(seed)


def tiny_model_with_random_weights(config: ModelConfig, seed: int = 0) -> Transformer:
    """A model in which every parameter is random, also those that start at zero or one."""
    model = Transformer(config).init_weights(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def make_recipe(**changes: Any) -> Recipe:
    """A valid recipe with some fields replaced; `pretrain__steps=5` reaches into a part."""
    document: dict[str, Any] = {
        "n_threads": 1,
        "tokenizer_bytes": 1000,
        "model": tiny_config().model_dump(),
        **{stage: STAGE.model_dump() for stage in REQUIRED_STAGES},
    }
    return Recipe.model_validate(with_changes(document, **changes))


def with_changes(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Set fields of a nested document in place and return it; `model__n_layer=3` reaches in."""
    for name, value in changes.items():
        *outer, last = name.split("__")
        inner = document
        for key in outer:
            inner = inner[key]
        inner[last] = value
    return document


def make_manifest(recipe: Recipe | None = None, **changes: Any) -> Manifest:
    """The manifest of a run on the starter curriculum."""
    manifest = Manifest(
        firstwords="0",
        created="2026-01-01T00:00:00+00:00",
        time=60.0,
        sources=Sources(),
        recipe=recipe or make_recipe(),
        machine={},
        predicted={},
    )
    return manifest.replace(**changes)


def tiny_run(name: str, config: ModelConfig, tokenizer: Tokenizer, **changes: Any) -> Run:
    """A run that has a tokenizer and no checkpoint yet; `changes` are those of its recipe."""
    with registry.lock_run(name) as directory:
        run = registry.create_run(directory, make_manifest(make_recipe(model=config, **changes)))
    save_tokenizer(run, tokenizer)
    return run


def save_tokenizer(run: Run, tokenizer: Tokenizer) -> None:
    """Save the run's tokenizer as if it had been trained."""
    tokenizer.save(run.tokenizer_path)
    rates = {"train": 3.0, "held_out": 3.0, "chat": 3.0}
    stats = {"vocab_size": 512, "trained_on_bytes": 1000, "bytes_per_token": rates}
    files.write_json(run.tokenizer_stats_path, {**stats, "sha256": tokenizer.sha256})


def save_step(run: Run, stage: Stage, step: int, tokenizer: Tokenizer, seed: int = 0) -> Path:
    """Save a checkpoint of an untrained model as if it had taken so many steps."""
    model = Transformer(run.recipe.model).init_weights(seed)
    optimizer = Optimizer(model, run.recipe.optimizer, torch.float32)
    optimizer.steps = step
    state = {"steps": torch.tensor(step)}
    for name, parameter in model.named_parameters():
        for key in optimizer.state_keys(name):
            state[f"{name}.{key}"] = torch.zeros(parameter.shape)
    checkpoint.save_checkpoint(run.checkpoints(stage), model, tokenizer, state)
    return run.checkpoints(stage) / f"{step:07d}"


def make_metrics_line(step: int) -> str:
    """A line of metrics/STAGE.jsonl."""
    metrics = {"lr": 1.0, "seconds": 0.5, "grad_norm": 0.1, "update_norm": None}
    return json.dumps({"step": step, "loss": 1.5, **metrics})
