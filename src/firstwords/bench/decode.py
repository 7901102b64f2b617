"""How fast answers come, beside transformers and llama.cpp: the same weights, in one run.

All contenders take turns with the same prompts of random tokens, one answer at a time and sixteen,
always the likeliest token.
"""

import importlib.util
import subprocess
import tempfile
from contextlib import ExitStack
from json import loads
from pathlib import Path
from statistics import median
from typing import Any

from firstwords import checkpoint, console, machine
from firstwords.bench.decoders import CONTENDERS, Task
from firstwords.bench.train import ask, started
from firstwords.recipe import Stage
from firstwords.run import Run
from firstwords.stages.common import load_tokenizer

BATCHES = (1, 16)
PROMPT_TOKENS, NEW_TOKENS = 64, 128
NEEDS = {"transformers": "transformers", "llama.cpp": "llama_cpp"}  # packages of contenders


def bench_decode(run: Run, stage: Stage | None, rounds: int) -> dict[str, Any]:
    """The figures of a stage's model. Raises UserError, RuntimeError if a contender fails."""
    chosen, found = run.newest_of(stage)
    names = [n for n in CONTENDERS if n not in NEEDS or importlib.util.find_spec(NEEDS[n])]
    if "llama.cpp" in names and importlib.util.find_spec("gguf") is None:
        names.remove("llama.cpp")
    with tempfile.TemporaryDirectory() as folder:
        task = Task(
            checkpoint=found.directory,
            gguf=Path(folder) / "model.gguf",
            n_threads=run.recipe.n_threads,
            prompt_tokens=PROMPT_TOKENS,
            new_tokens=NEW_TOKENS,
            vocab_size=run.recipe.model.vocab_size,
        )
        if "llama.cpp" in names:
            from firstwords.export import gguf_file

            model = checkpoint.load_model(found.directory)
            gguf_file.write(task.gguf, model, load_tokenizer(run), "f32", "bench")
        measured = measure(task, names, rounds)
    return {
        "machine": machine.describe(),
        "run": run.name,
        "stage": chosen,
        "rounds": rounds,
        "prompt_tokens": PROMPT_TOKENS,
        "new_tokens": NEW_TOKENS,
        "absent": [name for name in CONTENDERS if name not in names],
        "batches": {str(batch): figures(measured[batch], batch) for batch in BATCHES},
    }


Round = dict[str, dict[str, float]]  # contender -> seconds to the first token and to the last


def measure(task: Task, names: list[str], rounds: int) -> dict[int, list[Round]]:
    found: dict[int, list[Round]] = {batch: [] for batch in BATCHES}
    with ExitStack() as stack:
        contenders = {}
        for name in names:
            console.say(f"preparing {name}")
            quiet = subprocess.DEVNULL if name == "llama.cpp" else None  # it tells all it knows
            contenders[name] = stack.enter_context(
                started("decoders", name, task.model_dump_json(), stderr=quiet)
            )
        total = len(BATCHES) * rounds * len(names)
        with console.progress("measuring", total, "turns") as meter:
            for batch in BATCHES:
                for _ in range(rounds):
                    found[batch].append({})
                    for name, process in contenders.items():
                        found[batch][-1][name] = loads(ask(process, str(batch), name))
                        meter.advance(1, f"{batch} at a time: {name}")
    return found


def figures(rounds: list[Round], batch: int) -> dict[str, dict[str, float]]:
    """Tokens a second in all, seconds to the first token, and how many times as fast we are."""
    return {
        name: {
            "tokens_per_second": batch
            * NEW_TOKENS
            / median(one[name]["seconds"] for one in rounds),
            "first_token_seconds": median(one[name]["first"] for one in rounds),
            "ours_times_as_fast": median(
                one[name]["seconds"] / one["firstwords"]["seconds"] for one in rounds
            ),
        }
        for name in rounds[0]
    }


def describe(result: dict[str, Any]) -> str:
    lines = [
        f"{result['run']}, {result['stage']}: {PROMPT_TOKENS} tokens of prompt, {NEW_TOKENS} new "
        f"ones, {result['rounds']} rounds",
        f"{'':<14}{'at a time':>10}{'tokens/s':>10}{'first token':>13}{'we are':>16}",
    ]
    for batch, contenders in result["batches"].items():
        for name, one in contenders.items():
            lines.append(
                f"{name:<14}{batch:>10}{one['tokens_per_second']:>10,.0f}"
                f"{1000 * one['first_token_seconds']:>10.1f} ms"
                f"{one['ours_times_as_fast']:>8.2f} times as fast"
            )
    if result["absent"]:
        lines.append(f"not installed: {', '.join(result['absent'])}")
    return "\n".join(lines)
