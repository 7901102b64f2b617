"""Measure the speed of decoding beside transformers and llama.cpp, with the same weights.

All contenders take turns with the same prompts of random tokens, one and sixteen at a time, with
greedy sampling.
"""

import importlib.util
import json
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from firstwords.bench.contender_process import ask, start_contender
from firstwords.bench.decode_contenders import CONTENDERS, DecodeTask
from firstwords.common import console, devices
from firstwords.model import hf_format
from firstwords.recipe import Stage
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.run import Run

BATCH_SIZES = (1, 16)
PROMPT_TOKENS, NEW_TOKENS = 64, 128
REQUIRED_PACKAGES = {"transformers": ("transformers",), "llama.cpp": ("llama_cpp", "gguf")}

Round = dict[str, dict[str, float]]  # contender -> seconds to the first token and to the last


def bench_decode(run: Run, stage: Stage | None, rounds: int) -> dict[str, Any]:
    """Benchmark the model of a stage, by default the latest. Raises UserError, and RuntimeError if
    a contender fails."""
    stage_name, checkpoint = run.newest_of(stage)
    names = [name for name in CONTENDERS if _installed(name)]
    with tempfile.TemporaryDirectory() as directory:
        task = DecodeTask(
            checkpoint=checkpoint.directory,
            gguf=Path(directory) / "model.gguf",
            n_threads=run.recipe.n_threads,
            prompt_tokens=PROMPT_TOKENS,
            new_tokens=NEW_TOKENS,
            vocab_size=run.recipe.model.vocab_size,
        )
        if "llama.cpp" in names:
            from firstwords.export import gguf_file

            model = hf_format.load_model(checkpoint.directory)
            gguf_file.write_gguf(task.gguf, model, load_tokenizer(run), "f32", "bench")
        measured = measure_rounds(task, names, rounds)
    return {
        "machine": devices.describe_machine(),
        "run": run.name,
        "stage": stage_name,
        "rounds": rounds,
        "prompt_tokens": PROMPT_TOKENS,
        "new_tokens": NEW_TOKENS,
        "absent": [name for name in CONTENDERS if name not in names],
        "batches": {str(size): summarize_rounds(measured[size], size) for size in BATCH_SIZES},
    }


def _installed(name: str) -> bool:
    return all(importlib.util.find_spec(package) for package in REQUIRED_PACKAGES.get(name, ()))


def measure_rounds(task: DecodeTask, names: list[str], n_rounds: int) -> dict[int, list[Round]]:
    """Let the contenders take turns for `n_rounds` rounds at each batch size."""
    rounds: dict[int, list[Round]] = {size: [] for size in BATCH_SIZES}
    with ExitStack() as stack:
        contenders = {}
        for name in names:
            console.say(f"preparing {name}")
            stderr = subprocess.DEVNULL if name == "llama.cpp" else None  # it logs a lot
            contenders[name] = stack.enter_context(
                start_contender("decode_contenders", name, task.model_dump_json(), stderr=stderr)
            )
        total = len(BATCH_SIZES) * n_rounds * len(names)
        with console.progress("measuring", total, "turns") as meter:
            for size in BATCH_SIZES:
                for _ in range(n_rounds):
                    rounds[size].append({})
                    for name, process in contenders.items():
                        rounds[size][-1][name] = json.loads(ask(process, str(size), name))
                        meter.advance(1, f"batch size {size}: {name}")
    return rounds


def summarize_rounds(rounds: list[Round], batch_size: int) -> dict[str, dict[str, float]]:
    """Return the medians over the rounds: tokens per second of the whole batch, seconds to the
    first token, and how many times faster we are."""
    tokens = batch_size * NEW_TOKENS
    return {
        name: {
            "tokens_per_second": tokens / median(one[name]["seconds"] for one in rounds),
            "first_token_seconds": median(one[name]["first"] for one in rounds),
            "ours_times_as_fast": median(
                one[name]["seconds"] / one["firstwords"]["seconds"] for one in rounds
            ),
        }
        for name in rounds[0]
    }


def render_decode(result: dict[str, Any]) -> str:
    """Render the benchmark as text."""
    lines = [
        f"{result['run']}, {result['stage']}: {PROMPT_TOKENS} prompt tokens, {NEW_TOKENS} new "
        f"tokens, {result['rounds']} rounds",
        f"{'':<14}{'batch size':>10}{'tokens/s':>10}{'first token':>13}{'firstwords is':>23}",
    ]
    for batch_size, contenders in result["batches"].items():
        for name, figures in contenders.items():
            lines.append(
                f"{name:<14}{batch_size:>10}{figures['tokens_per_second']:>10,.0f}"
                f"{1000 * figures['first_token_seconds']:>10.1f} ms"
                f"{figures['ours_times_as_fast']:>9.2f} times as fast"
            )
    if result["absent"]:
        lines.append(f"not installed: {', '.join(result['absent'])}")
    return "\n".join(lines)
