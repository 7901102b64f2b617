#!/usr/bin/env python3
"""What sharing a batch among processes costs: two processes of one thread each beside one process
of two threads (and beside one of one, which says what two could do at best), and two that cut the
weights up as well.

    python benchmarks/processes.py --rounds 3

Whole steps of pretraining on random tokens: forwards, backwards, exchange, optimizer. The ways take
turns, and ratios are taken within a round.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median

import torch

from firstwords import machine
from firstwords.data.rows import Batches, EchoRows
from firstwords.distributed import World, joined
from firstwords.measure import trial
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer
from firstwords.plan import LADDER
from firstwords.recipe import Recipe, Shard, model_config
from firstwords.sharded import exchange_of
from firstwords.training import accumulate, loss_function, torch_dtype

WARM_UP = 5  # steps
WAYS: dict[str, tuple[int, int, Shard]] = {
    "1 process x 2 threads": (1, 2, "optimizer"),
    "2 processes x 1 thread": (2, 1, "optimizer"),
    "2 x 1, weights cut up": (2, 1, "weights"),
    "1 x 1": (1, 1, "optimizer"),
}


def work(world: World, recipe: Recipe, seconds: float) -> float:
    """Tokens per second of all processes together."""
    machine.setup(recipe.n_threads)
    model = Transformer(recipe.model).init_weights(0)
    exchange = exchange_of(recipe, world, model)
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe), exchange.owned)
    loss, stage = loss_function(model, recipe), recipe.base
    rows = EchoRows(recipe.model.vocab_size, stage.seq_len, 10**6, 0)
    batches = Batches(rows, stage.batch_rows, 0)
    steps, start, going = 0, 0.0, 1.0
    while going:
        if steps == WARM_UP:
            start = time.perf_counter()
        accumulate(loss, *batches.batch(steps), stage.micro_rows, exchange)
        optimizer.step(0.1)
        exchange.give_back()
        steps += 1
        done = steps > WARM_UP and time.perf_counter() - start > seconds
        (going,) = world.total(float(world.leads and not done))  # the leader's clock counts
    return (steps - WARM_UP) * stage.batch_tokens / (time.perf_counter() - start)


def measured(way: str, asked: argparse.Namespace) -> float:
    processes, threads, shard = WAYS[way]
    worker = [__file__, "--worker", str(threads), "--shape", asked.shape, "--shard", shard]
    worker += ["--seconds", str(asked.seconds), "--dtype", asked.dtype]
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(run if processes > 1 else []), *worker]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout)["tokens_per_second"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of steps in each turn")
    parser.add_argument("--shape", default="4,192,2", help="layers,channels,heads")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--shard", default="optimizer", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    shape = tuple(int(number) for number in asked.shape.split(","))
    assert shape in LADDER, f"choose from {LADDER}"
    if asked.worker:
        model = model_config(shape, 2048)
        recipe = trial(asked.worker).model_copy(
            update={"model": model, "dtype": asked.dtype, "shard": asked.shard}
        )
        with joined() as world:
            rate = work(world, recipe, asked.seconds)
        if world.leads:
            print(json.dumps({"tokens_per_second": rate}))
        return
    first = next(iter(WAYS))
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(asked.rounds):
        for way in WAYS:
            rates[way].append(measured(way, asked))
            print(f"round {number + 1}: {way}: {rates[way][-1]:,.0f} tokens/s", flush=True)
    for way in WAYS:
        ratios = [one / other for one, other in zip(rates[way], rates[first], strict=True)]
        print(
            f"{way}: {median(rates[way]):,.0f} tokens/s, {median(ratios):.2f} of {first} "
            f"({min(ratios):.2f} to {max(ratios):.2f}); {torch.__version__}"
        )


if __name__ == "__main__":
    main()
