"""Lab 6: count parameters and FLOPs by hand, and check them against the model."""

import statistics
from collections.abc import Iterator
from typing import NamedTuple

import torch

from firstwords.common import devices
from firstwords.common.schema import parse
from firstwords.common.units import format_duration
from firstwords.data.dataloader import RepeatedTokenRows
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.random_config import CONFIG
from firstwords.labs.short_training import short_recipe, train_on_rows
from firstwords.model.size import flops_per_token, matmul_parameters
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig, OptimizerConfig
from firstwords.training.optimizer import Optimizer, uses_muon

FILE = "answers.json"
STEPS = 30


class ExpectedAnswer(NamedTuple):
    """The right value, and a hint for a learner who has another."""

    value: int
    hint: str


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check each answer in answers.json on its own."""
    config, written = load_config(folder), folder.document(FILE)
    for name, expected in expected_answers(config).items():
        value = written.get(name)
        if value is None:
            yield failed(f"{name} has no value yet", expected.hint)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            yield failed(f"{name} is {value!r}", "write a number without quotation marks")
        elif value != expected.value:
            yield failed(f"{name} is not {value:,}", expected.hint)
        else:
            yield passed(f"{name}: {expected.value:,}")


def load_config(folder: LabFolder) -> ModelConfig:
    """Read the random configuration of a folder. Raises UserError."""
    config: ModelConfig = parse(ModelConfig, folder.document(CONFIG), folder.path / CONFIG)
    return config


def expected_answers(config: ModelConfig) -> dict[str, ExpectedAnswer]:
    """Count in the real model and optimizer, not by the formulas that the learner uses."""
    model = Transformer(config)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    optimizer = Optimizer(model, OptimizerConfig(), torch.float32)
    counts = {name: sum(map(torch.numel, own.values())) for name, own in optimizer.moments.items()}
    momentum = sum(count for name, count in counts.items() if uses_muon(name))
    moments = sum(counts.values()) - momentum

    def count(*parts: str) -> int:
        return sum(size for name, size in sizes.items() if all(part in name for part in parts))

    seq_len = config.max_seq_len
    return {
        "embedding": ExpectedAnswer(
            count("embed_tokens"), "a row of n_embd numbers for every token"
        ),
        "attention_per_layer": ExpectedAnswer(
            count("layers.0.", "_proj", "self_attn"),
            "q and o: n_embd x n_head x head_dim; k and v have n_kv_head heads; without the norms",
        ),
        "mlp_per_layer": ExpectedAnswer(count("layers.0.mlp"), "three matrices: gate, up and down"),
        "norms": ExpectedAnswer(
            count("norm"),
            "two of n_embd and two of head_dim in each layer, and one of n_embd at the end",
        ),
        "head": ExpectedAnswer(
            count("lm_head"), "a matrix from n_embd to the vocabulary, separate from the embedding"
        ),
        "total": ExpectedAnswer(sum(sizes.values()), "the sum of all parts, with n_layer layers"),
        "matmul_parameters": ExpectedAnswer(
            matmul_parameters(config),
            "all but the norms and the embedding, which is a table lookup",
        ),
        "training_flops_per_token": ExpectedAnswer(
            flops_per_token(config, seq_len),
            "6 for each parameter in a matrix product (2 forward, 4 backward), and for attention "
            f"12 x n_layer x n_head x head_dim x {seq_len} / 2",
        ),
        "training_flops_per_token_half_row": ExpectedAnswer(
            flops_per_token(config, seq_len // 2),
            f"the same formula with {seq_len // 2} instead of {seq_len}",
        ),
        "optimizer_state_bytes": ExpectedAnswer(
            4 * (momentum + moments),
            "Muon keeps one number for each parameter of the layers' matrices, AdamW two for each "
            "of the embedding, the head and the norms; a number has four bytes",
        ),
    }


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Measure how fast this machine trains the model."""
    config = load_config(folder)
    recipe = short_recipe(settings, STEPS, config.vocab_size).replace(model=config)
    stage = recipe.pretrain
    rows = RepeatedTokenRows(config.vocab_size, stage.seq_len, 64, seed=0)
    run = train_on_rows(recipe, rows, "timing steps")
    tokens_per_second = stage.batch_tokens / statistics.median(s.seconds for s in run.steps[1:])
    gflops = tokens_per_second * flops_per_token(config, stage.seq_len) / 1e9
    peak_gflops = devices.matmul_gflops(torch.float32)
    answers = expected_answers(config)
    layer = answers["attention_per_layer"].value + answers["mlp_per_layer"].value
    yield ExperimentResult("layers", f"{config.n_layer * layer / answers['total'].value:.0%}")
    yield ExperimentResult("speed", f"{tokens_per_second:,.0f}")
    yield ExperimentResult(
        "share", f"{gflops / peak_gflops:.0%} ({gflops:.0f} of {peak_gflops:.0f} GFLOP/s)"
    )
    yield info(
        f"1,000 steps of {stage.batch_tokens:,} tokens would take "
        f"{format_duration(1000 * stage.batch_tokens / tokens_per_second)}"
    )
