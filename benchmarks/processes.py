#!/usr/bin/env python3
"""Measure what it costs to share a batch among processes.

    python benchmarks/processes.py --rounds 3

Compares two processes of one thread each with one process of two threads, with one process of one
thread (half of what two could do at best), and with two processes that shard the weights as well.
A step is a whole pretraining step on random tokens: forward, backward, exchange, optimizer. The
variants take turns, and ratios are taken within a round.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median

import torch

from firstwords.common import devices
from firstwords.data.dataloader import BatchSampler, RepeatedTokenRows
from firstwords.planning.autotune import trial_recipe
from firstwords.planning.model_sizes import MODEL_SIZES, model_config
from firstwords.recipe import Recipe, Shard
from firstwords.training.distributed import World, join_processes
from firstwords.training.loop import accumulate
from firstwords.training.setup import build

WARM_UP_STEPS = 5
N_ROWS = 10**6  # different rows of the training data
VARIANTS: dict[str, tuple[int, int, Shard]] = {
    "1 process x 2 threads": (1, 2, "optimizer"),
    "2 processes x 1 thread": (2, 1, "optimizer"),
    "2 x 1, sharded weights": (2, 1, "weights"),
    "1 x 1": (1, 1, "optimizer"),
}


def tokens_per_second(world: World, recipe: Recipe, seconds: float) -> float:
    """Train for `seconds` and return the tokens per second of all processes together."""
    devices.configure_torch(recipe.n_threads)
    state, stage = build(recipe, world=world), recipe.pretrain
    rows = RepeatedTokenRows(recipe.model.vocab_size, stage.seq_len, N_ROWS, 0)
    batches = BatchSampler(rows, stage.batch_size, 0)
    steps, start, running = 0, 0.0, 1.0
    while running:
        if steps == WARM_UP_STEPS:
            start = time.perf_counter()
        accumulate(state.loss, state.sync, batches.batch(steps), stage.micro_batch_size)
        state.optimizer.step(0.1)
        state.sync.zero_grad()
        state.sync.broadcast_weights()
        steps += 1
        done = steps > WARM_UP_STEPS and time.perf_counter() - start > seconds
        (running,) = world.all_reduce_sum(world.is_main and not done)  # by the main process's clock
    return (steps - WARM_UP_STEPS) * stage.batch_tokens / (time.perf_counter() - start)


def measure(variant: str, options: argparse.Namespace) -> float:
    """Return the tokens per second of a variant, measured in new processes."""
    processes, threads, shard = VARIANTS[variant]
    worker = [__file__, "--worker", str(threads), "--shape", options.shape, "--shard", shard]
    worker += ["--seconds", str(options.seconds), "--dtype", options.dtype]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(torchrun if processes > 1 else []), *worker]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout)["tokens_per_second"])


def run_worker(options: argparse.Namespace) -> None:
    """Measure in this process, one of a variant's, and print the result as JSON."""
    shape = tuple(int(number) for number in options.shape.split(","))
    assert shape in MODEL_SIZES, f"choose from {MODEL_SIZES}"
    recipe = trial_recipe(options.worker).replace(
        model=model_config(shape, 2048), dtype=options.dtype, shard=options.shard
    )
    with join_processes() as world:
        rate = tokens_per_second(world, recipe, options.seconds)
    if world.is_main:
        print(json.dumps({"tokens_per_second": rate}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each variant")
    parser.add_argument("--seconds", type=float, default=8.0, help="time of each turn")
    parser.add_argument("--shape", default="4,192,2", help="layers,channels,heads")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--shard", default="optimizer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        run_worker(options)
        return
    baseline = next(iter(VARIANTS))
    rates: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for number in range(options.rounds):
        for variant in VARIANTS:
            rates[variant].append(measure(variant, options))
            print(f"round {number + 1}: {variant}: {rates[variant][-1]:,.0f} tokens/s", flush=True)
    for variant in VARIANTS:
        ratios = [a / b for a, b in zip(rates[variant], rates[baseline], strict=True)]
        print(
            f"{variant}: {median(rates[variant]):,.0f} tokens/s, {median(ratios):.2f} of "
            f"{baseline} ({min(ratios):.2f} to {max(ratios):.2f}); {torch.__version__}"
        )


if __name__ == "__main__":
    main()
