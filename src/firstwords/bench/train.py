"""How fast training is here, and what share of what this machine can do.

The ceiling is the rate of the step's own matrix products with nothing between them. The share says
how much of it remains when everything else is done too: attention, norms, data, the optimizer. Only
useful work counts: 6 FLOPs for each matmul parameter and token, and causal attention.

All contenders take turns in one run, a second each, and a ratio is taken within a round: so a
machine that gets faster or slower meanwhile changes them all alike.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from statistics import median
from typing import Any

from firstwords import console, machine
from firstwords.bench.contenders import CONTENDERS, ROUND_SECONDS
from firstwords.model import flops_per_token, matmul_parameters
from firstwords.recipe import Recipe

Round = dict[str, dict[str, float]]  # contender -> part -> seconds of one step
PEERS = {
    "eager": "the same, eager PyTorch as it comes",
    "adamw": "a plain GPT of this size with AdamW",
}


def bench_train(recipe: Recipe, n_rounds: int) -> dict[str, Any]:
    """The figures of a recipe's pretraining step. Raises RuntimeError if a contender fails."""
    return figures(recipe, measure(recipe, n_rounds))


def measure(recipe: Recipe, n_rounds: int) -> list[Round]:
    with ExitStack() as stack:
        contenders = {}
        for name in CONTENDERS:
            console.say(f"preparing {name}")
            environment = without_spinning() if name in PEERS else None
            contenders[name] = stack.enter_context(
                started("contenders", name, recipe.model_dump_json(), env=environment)
            )
        total = n_rounds * len(contenders) * ROUND_SECONDS
        rounds: list[Round] = []
        with console.progress("measuring", total, "s") as meter:
            for number in range(n_rounds):
                rounds.append({})
                for name, process in contenders.items():
                    rounds[-1][name] = json.loads(ask(process, "go", name))
                    meter.advance(ROUND_SECONDS, f"round {number + 1} of {n_rounds}: {name}")
        return rounds


def without_spinning() -> dict[str, str]:
    """Peers get PyTorch without our settings."""
    return {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}


@contextmanager
def started(module: str, name: str, task: str, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A contender of a benchmark, which knows its task and is ready for its first round."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"firstwords.bench.{module}", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the parent, which then ends all
        **options,
    )
    try:
        ask(process, task, name)
        yield process
    finally:
        process.kill()
        process.wait()


def ask(process: "subprocess.Popen[str]", line: str, name: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):  # it has said why on stderr, and gives no answer
        process.stdin.write(line + "\n")
        process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"the contender {name} stopped (exit code {process.wait()})")
    return answer


def figures(recipe: Recipe, rounds: list[Round]) -> dict[str, Any]:
    """What the rounds say, as the document that `--json` prints."""
    stage = recipe.base
    useful = flops_per_token(recipe.model, stage.seq_len) * stage.batch_tokens
    n_rows = -(-stage.batch_rows // stage.micro_rows) * stage.micro_rows
    in_products = 6 * matmul_parameters(recipe.model) * n_rows * stage.seq_len
    seconds = [{name: sum(parts.values()) for name, parts in one.items()} for one in rounds]
    ceiling = [in_products / one["products"] / 1e9 for one in seconds]
    rate = [useful / one["firstwords"] / 1e9 for one in seconds]
    fraction = [ours / most for ours, most in zip(rate, ceiling, strict=True)]
    slower = {name: [one[name] / one["firstwords"] for one in seconds] for name in PEERS}
    return {
        "machine": machine.describe(),
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
            for name, ratios in slower.items()
        },
    }


def describe(result: dict[str, Any]) -> str:
    """The figures as lines to read."""
    model, stage = result["recipe"]["model"], result["recipe"]["base"]
    low, high = result["fraction_range"]
    parts = result["step_seconds"]
    whole = sum(parts.values())
    lines = [
        f"model     {model['n_layer']} layers x {model['n_embd']} channels, vocabulary "
        f"{model['vocab_size']:,}; batches of {stage['batch_rows']} x {stage['seq_len']} tokens",
        f"machine   {result['machine']['cpu']}, {result['recipe']['n_threads']} threads, "
        f"{result['recipe']['dtype']}, {'compiled' if result['recipe']['compile'] else 'eager'}",
        f"ceiling   {result['ceiling_gflops']:,.0f} GFLOP/s: the step's matrix products alone",
        f"training  {result['gflops']:,.0f} GFLOP/s, {result['tokens_per_second']:,.0f} tokens/s: "
        f"{result['fraction_of_ceiling']:.0%} of the ceiling ({low:.0%} to {high:.0%} in "
        f"{result['rounds']} rounds)",
        f"a step    {1000 * whole:,.0f} ms: "
        + ", ".join(f"{part} {s / whole:.0%}" for part, s in parts.items()),
    ]
    for name, peer in result["peers"].items():
        low, high = peer["range"]
        lines.append(
            f"{name:<9} {peer['tokens_per_second']:,.0f} tokens/s, {peer['times_slower']:.2f} "
            f"times slower ({low:.2f} to {high:.2f}): {PEERS[name]}"
        )
    return "\n".join(lines)
