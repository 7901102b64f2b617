"""Measure the speed of a training step, and its fraction of what this machine can do.

The ceiling is the rate of the step's own matrix products with nothing between them, by PyTorch or
by the native kernel, whichever is faster. The fraction says how much of it remains with everything
else: attention, norms, data, the optimizer. Only useful work counts: 6 FLOPs per matmul parameter
and token, and causal attention.

All contenders take turns in one run, a second each, and ratios are taken within a round, so that a
change of the machine's speed affects all of them equally.
"""

import json
import os
from contextlib import ExitStack
from statistics import median
from typing import Any

from firstwords.bench.contender_process import ask, start_contender
from firstwords.bench.train_contenders import CONTENDERS, ROUND_SECONDS
from firstwords.common import console, devices
from firstwords.model.size import flops_per_token, matmul_parameters
from firstwords.recipe import Recipe

Round = dict[str, dict[str, float]]  # contender -> part -> seconds of one step
PEERS = {
    "pytorch": "the same in PyTorch, compiled",
    "eager": "the same in eager PyTorch with its defaults",
    "adamw": "a plain GPT of this size with AdamW",
}


def bench_train(recipe: Recipe, n_rounds: int) -> dict[str, Any]:
    """Benchmark a recipe's pretraining step. Raises RuntimeError if a contender fails."""
    return summarize_rounds(recipe, measure_rounds(recipe, n_rounds))


def measure_rounds(recipe: Recipe, n_rounds: int) -> list[Round]:
    """Let all contenders take turns for `n_rounds` rounds."""
    with ExitStack() as stack:
        contenders = {}
        for name in CONTENDERS:
            console.say(f"preparing {name}")
            environment = default_environment() if name in ("eager", "adamw") else None
            contenders[name] = stack.enter_context(
                start_contender("train_contenders", name, recipe.model_dump_json(), env=environment)
            )
        total = n_rounds * len(contenders) * ROUND_SECONDS
        rounds: list[Round] = []
        with console.progress("measuring", total, "s") as meter:
            for number in range(n_rounds):
                rounds.append({})
                for name, process in contenders.items():
                    rounds[-1][name] = json.loads(ask(process, "round", name))
                    meter.advance(ROUND_SECONDS, f"round {number + 1} of {n_rounds}: {name}")
        return rounds


def default_environment() -> dict[str, str]:
    """Return the environment without our OpenMP setting, which peers do not get."""
    return {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}


def summarize_rounds(recipe: Recipe, rounds: list[Round]) -> dict[str, Any]:
    """Return the medians over the rounds: the document that `--json` prints."""
    stage = recipe.pretrain
    useful_flops = flops_per_token(recipe.model, stage.seq_len) * stage.batch_tokens
    n_rows = -(-stage.batch_size // stage.micro_batch_size) * stage.micro_batch_size
    product_flops = 6 * matmul_parameters(recipe.model) * n_rows * stage.seq_len
    seconds = [{name: sum(parts.values()) for name, parts in one.items()} for one in rounds]
    limits = [min(one["products"], one["native_products"]) for one in seconds]
    ceiling = [product_flops / limit / 1e9 for limit in limits]
    rate = [useful_flops / one["firstwords"] / 1e9 for one in seconds]
    fraction = [ours / limit for ours, limit in zip(rate, ceiling, strict=True)]
    slowdowns = {name: [one[name] / one["firstwords"] for one in seconds] for name in PEERS}
    return {
        "machine": devices.describe_machine(),
        "recipe": recipe.model_dump(),
        "rounds": len(rounds),
        "tokens_per_second": stage.batch_tokens / median(one["firstwords"] for one in seconds),
        "gflops": median(rate),
        "ceiling_gflops": median(ceiling),
        "fraction_of_ceiling": median(fraction),
        "fraction_range": [min(fraction), max(fraction)],
        "step_seconds": {
            part: median(one["firstwords"][part] for one in rounds)
            for part in rounds[0]["firstwords"]
        },
        "peers": {
            name: {
                "tokens_per_second": stage.batch_tokens / median(one[name] for one in seconds),
                "times_slower": median(ratios),
                "range": [min(ratios), max(ratios)],
            }
            for name, ratios in slowdowns.items()
        },
    }


def render_train(result: dict[str, Any]) -> str:
    """Render the benchmark as text."""
    recipe = result["recipe"]
    model, stage = recipe["model"], recipe["pretrain"]
    low, high = result["fraction_range"]
    step_kind = Recipe.model_validate(recipe).step_kind
    step_seconds = sum(result["step_seconds"].values())
    parts = ", ".join(
        f"{part} {seconds / step_seconds:.0%}" for part, seconds in result["step_seconds"].items()
    )
    lines = [
        f"model     {model['n_layer']} layers x {model['n_embd']} channels, vocabulary "
        f"{model['vocab_size']:,}; batches of {stage['batch_size']} x {stage['seq_len']} tokens",
        f"machine   {result['machine']['cpu']}, {recipe['n_threads']} threads, "
        f"{recipe['dtype']}, {step_kind} training step",
        f"ceiling   {result['ceiling_gflops']:,.0f} GFLOP/s: the step's matrix products alone",
        f"training  {result['gflops']:,.0f} GFLOP/s, {result['tokens_per_second']:,.0f} tokens/s: "
        f"{result['fraction_of_ceiling']:.0%} of the ceiling ({low:.0%} to {high:.0%} in "
        f"{result['rounds']} rounds)",
        f"step      {1000 * step_seconds:,.0f} ms: {parts}",
    ]
    for name, peer in result["peers"].items():
        low, high = peer["range"]
        lines.append(
            f"{name:<9} {peer['tokens_per_second']:,.0f} tokens/s, {peer['times_slower']:.2f} "
            f"times slower ({low:.2f} to {high:.2f}): {PEERS[name]}"
        )
    return "\n".join(lines)
