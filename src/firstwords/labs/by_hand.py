"""Lab 6: parameters and FLOPs, counted by hand and then by the model itself."""

import statistics
from collections.abc import Iterator
from typing import NamedTuple

import torch

from firstwords import console, machine
from firstwords.data.rows import EchoRows
from firstwords.labs.drawn import CONFIG
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.small import recipe, trained
from firstwords.model import Transformer, flops_per_token, matmul_parameters
from firstwords.optimizer import Optimizer
from firstwords.recipe import ModelConfig, OptimizerConfig, parse

FILE = "answers.json"
STEPS = 30


class Answer(NamedTuple):
    value: int
    hint: str


def exercise(folder: Folder) -> Iterator[Finding]:
    config, written = config_of(folder), folder.document(FILE)
    for name, answer in answers(config).items():
        found = written.get(name)
        if found is None:
            yield wrong(f"{name} is still to be filled in", answer.hint)
        elif isinstance(found, bool) or not isinstance(found, int | float):
            yield wrong(f"{name} is {found!r}", "a number, without quotation marks")
        elif found != answer.value:
            yield wrong(f"{name} is not {found:,}", answer.hint)
        else:
            yield right(f"{name}: {answer.value:,}")


def config_of(folder: Folder) -> ModelConfig:
    config: ModelConfig = parse(ModelConfig, folder.document(CONFIG), folder.path / CONFIG)
    return config


def answers(config: ModelConfig) -> dict[str, Answer]:
    """Parameters as the real model has them, not by the formulas that the learner uses."""
    model = Transformer(config)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    optimizer = Optimizer(model, OptimizerConfig(), torch.float32)
    momentum = sum(mean.numel() for mean in optimizer.momentum.values())
    moments = 2 * sum(p.numel() for group in optimizer.adam.param_groups for p in group["params"])

    def of(*parts: str) -> int:
        return sum(size for name, size in sizes.items() if all(part in name for part in parts))

    row = config.max_seq_len
    return {
        "embedding": Answer(of("embed_tokens"), "a row of n_embd numbers for every token"),
        "attention_of_a_layer": Answer(
            of("layers.0.", "_proj", "self_attn"),
            "q and o: n_embd x n_head x head_dim; k and v have n_kv_head heads; no norms here",
        ),
        "mlp_of_a_layer": Answer(of("layers.0.mlp"), "three matrices: gate, up and down"),
        "norms": Answer(
            of("norm"),
            "two of n_embd and two of head_dim in each layer, and one of n_embd at the end",
        ),
        "head": Answer(of("lm_head"), "a matrix of its own, from n_embd to the vocabulary"),
        "all": Answer(sum(sizes.values()), "the sum of the parts, the layers n_layer times"),
        "in_products": Answer(
            matmul_parameters(config), "all but the embedding, which is looked up, and the norms"
        ),
        "training_flops_per_token": Answer(
            flops_per_token(config, row),
            "6 for each parameter in a product (2 forwards, 4 backwards), and for attention "
            f"12 x n_layer x n_head x head_dim x {row} / 2",
        ),
        "training_flops_per_token_of_half_the_row": Answer(
            flops_per_token(config, row // 2), f"as before, with {row // 2} for {row}"
        ),
        "bytes_of_optimizer_state": Answer(
            4 * (momentum + moments),
            "Muon keeps one number for each parameter of a layer's matrices, AdamW two for each of "
            "the embedding, the head and the norms; a number has four bytes",
        ),
    }


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    config = config_of(folder)
    made = recipe(setting, STEPS, config.vocab_size).model_copy(update={"model": config})
    rows = EchoRows(config.vocab_size, made.base.seq_len, 64, seed=0)
    run = trained(made, rows, "measuring")
    speed = made.base.batch_tokens / statistics.median(step.seconds for step in run.steps[1:])
    gflops = speed * flops_per_token(config, made.base.seq_len) / 1e9
    most = machine.matmul_gflops(torch.float32)
    found = answers(config)
    layers = config.n_layer * (found["attention_of_a_layer"].value + found["mlp_of_a_layer"].value)
    yield Outcome("layers", f"{layers / found['all'].value:.0%}")
    yield Outcome("speed", f"{speed:,.0f}")
    yield Outcome("share", f"{gflops / most:.0%} ({gflops:.0f} of {most:.0f} GFLOP/s)")
    yield told(
        f"a thousand steps of {made.base.batch_tokens:,} tokens would take it "
        f"{console.duration(1000 * made.base.batch_tokens / speed)}"
    )
