"""Decoders whose words are known, and runs that nobody trained."""

from collections.abc import Iterable
from pathlib import Path

import torch

from firstwords import checkpoint
from firstwords import run as runs
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer
from firstwords.recipe import ModelConfig, OptimizerConfig, Recipe, Stage, StageConfig
from firstwords.run import Manifest, Run, Sources
from firstwords.tokenizer import Tokenizer


class Scripted:
    """Says the tokens of its script one after the other, and keeps all that it was shown. What is
    forced on it in between does not move it on."""

    slots = 1

    def __init__(self, vocab_size: int, script: Iterable[int], context: int) -> None:
        self.vocab_size, self.context = vocab_size, context
        self.script, self.next = list(script), 0
        self.shown: list[int] = []
        self.offered = False  # its next token, to be drawn or passed over

    def read(self, slots: list[int], texts: list[list[int]], start: int = 0) -> None:
        self.next += self.offered  # the last token of an answer is drawn, and not shown again
        self.shown, self.offered = self.shown[:start] + texts[0], False

    def next_logits(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        spoken = len(self.shown) == positions[0] and self.offered
        self.shown = self.shown[: positions[0]] + ids
        if spoken and ids[0] == self.script[self.next]:
            self.next += 1
        self.offered = True
        logits_BV = torch.zeros(1, self.vocab_size)
        logits_BV[0, self.script[self.next]] = 1.0
        return logits_BV


class Prophet:
    """Says after every token what the table says."""

    def __init__(self, vocab_size: int, after: dict[int, int], slots: int = 1) -> None:
        self.vocab_size, self.after, self.slots, self.context = vocab_size, after, slots, 60
        self.heard: list[int] = []

    def read(self, slots: list[int], texts: list[list[int]], start: int = 0) -> None:
        self.heard += texts[0]

    def next_logits(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        self.heard += ids
        logits_BV = torch.zeros(len(ids), self.vocab_size)
        for row, token in enumerate(ids):
            logits_BV[row, self.after.get(token, 0)] = 1.0
        return logits_BV


def fresh_run(name: str, config: ModelConfig, tokenizer: Tokenizer) -> Run:
    """A run that has a tokenizer and no checkpoint yet."""
    stage = StageConfig(steps=20, batch_rows=2, micro_rows=2, seq_len=32)
    recipe = Recipe(
        n_threads=1, tokenizer_bytes=1000, model=config, base=stage, mid=stage, sft=stage
    )
    manifest = Manifest(
        firstwords="0",
        created="2026-01-01T00:00:00+00:00",
        time=60.0,
        sources=Sources(),
        recipe=recipe,
        machine={},
        predicted={},
    )
    with runs.locked(name) as directory:
        run = runs.create(directory, manifest)
    tokenizer.save(run.tokenizer_path)
    return run


def save_step(run: Run, stage: Stage, step: int, tokenizer: Tokenizer, seed: int = 0) -> Path:
    """A checkpoint of a model that has not learned anything."""
    model = Transformer(run.recipe.model).init_weights(seed)
    optimizer = Optimizer(model, OptimizerConfig(), torch.float32)
    optimizer.steps = step
    checkpoint.save(run.checkpoints(stage), model, tokenizer, optimizer.state())
    return run.checkpoints(stage) / f"{step:07d}"
