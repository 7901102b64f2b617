"""Compare reinforcement learning with the same time of more finetuning, from the same model.

    python benchmarks/rl.py --run default --time 3m --seeds 0 1 2 --out rl.json

For every seed two runs start from the finetuned model of `--run`: one by `firstwords rl`, and one
that finetunes on new conversations for as many seconds, with a learning rate that falls to zero.
All are evaluated in the same way: the held-out exam by part, BLiMP if benchmarks were fetched, bits
per byte, and what the exam's answers are like: their words, and the share of different n-grams.
Prints a Markdown table; `--out` also writes every figure as JSON. A finished run is not trained
again.
"""

import argparse
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from firstwords.common import devices, files
from firstwords.common.markdown import table
from firstwords.common.units import parse_duration
from firstwords.evaluation.eval_data import eval_data_home
from firstwords.evaluation.evaluate import EvalRequest, evaluate
from firstwords.evaluation.intervals import wilson
from firstwords.pipeline import launch, phases
from firstwords.pipeline.rl_run import RLRequest
from firstwords.planning.autotune import tokens_per_second
from firstwords.recipe import Stage
from firstwords.runs import registry
from firstwords.runs.run import Run

NEW_DATA_SEED = 1000  # added to the seed: conversations that the model has not been trained on
MEASURED_SECONDS = 10.0  # of training steps, to know how many fit into the time
TASKS = ("bits_per_byte", "exam")


def reinforced(source: Run, seed: int, seconds: float, overrides: list[str]) -> Run:
    """Return the run of reinforcement learning, trained if it does not exist."""
    name = f"{source.name}-bench-rl-{seed}"
    settings = (f"seed={seed}", *overrides)
    with launch.start_rl(RLRequest(source.name, name, None, seconds, settings)) as session:
        phases.run_phase(session, "rl")
    return registry.open_run(name)


def finetuned(source: Run, seed: int, seconds: float, lr_scale: float) -> Run:
    """Return the run of more finetuning: the source's model takes the place of a midtrained one."""
    name = f"{source.name}-bench-sft-{seed}"
    if not registry.run_exists(registry.runs_home() / name):
        devices.configure_torch(source.recipe.n_threads)
        tokens = seconds * tokens_per_second(source.recipe, MEASURED_SECONDS)
        steps = round(tokens / source.recipe.sft.batch_tokens)
        sft = source.recipe.sft.replace(steps=steps, lr_scale=lr_scale, final_lr_fraction=0.0)
        recipe = source.recipe.replace(seed=seed + NEW_DATA_SEED, sft=sft, rl=None)
        with registry.lock_run(name) as directory:
            shutil.copytree(source.directory / "tokenizer", directory / "tokenizer")
            shutil.copytree(source.directory / "tokens" / "text", directory / "tokens" / "text")
            midtrained = directory / "checkpoints" / "midtrain" / f"{recipe.midtrain.steps:07d}"
            shutil.copytree(source.finished_or_fail("sft").directory, midtrained)
            set_step(midtrained, recipe.midtrain.steps)
            registry.create_run(directory, source.manifest.replace(recipe=recipe, predicted={}))
    with launch.resume_run(name) as session:
        phases.run_phase(session, "sft")
    return registry.open_run(name)


def set_step(checkpoint: Path, step: int) -> None:
    """Let a checkpoint be that of another step."""
    files.write_json(checkpoint / "training.json", {"step": step})
    sums = files.read_json(checkpoint / "checksums.json")
    sums["training.json"] = files.sha256_file(checkpoint / "training.json")
    files.write_json(checkpoint / "checksums.json", sums)


def tasks_of() -> tuple[str, ...]:
    return (*TASKS, "blimp") if eval_data_home().is_dir() else TASKS


def measure(run: Run, stage: Stage, max_items: int | None) -> dict[str, Any]:
    """Return the scores of a stage, and what its answers to the exam are like."""
    devices.configure_torch(run.recipe.n_threads)
    result = evaluate(run, EvalRequest(stage=stage, tasks=tasks_of(), max_items=max_items))
    tasks = {name: task for name, task in result["tasks"].items() if "score" in task}
    return {"run": run.name, "stage": stage, "tasks": tasks, **describe_answers(run, stage)}


def describe_answers(run: Run, stage: Stage) -> dict[str, float]:
    """Return the words of an answer, and the share of different n-grams in all answers."""
    answers = [record["answer"].lower().split() for record in run.answers(stage, "exam")]
    found = {"words": sum(map(len, answers)) / max(1, len(answers))}
    for n in (1, 2, 3):
        grams = Counter(
            tuple(words[i : i + n]) for words in answers for i in range(len(words) - n + 1)
        )
        found[f"distinct_{n}"] = len(grams) / max(1, grams.total())
    return found


def render(before: dict[str, Any], arms: dict[str, list[dict[str, Any]]]) -> str:
    """Return the means over the seeds as a table, one row for each part of the exam and measure."""
    groups = {"before": [before], **arms}
    parts = list(before["tasks"]["exam"]["categories"])
    rows = [
        [part, *(share(of, ["tasks", "exam", "categories", part]) for of in groups.values())]
        for part in parts
    ]
    for title, path in (("**exam**", ["tasks", "exam"]), ("BLiMP", ["tasks", "blimp"])):
        if all(path[-1] in one["tasks"] for of in groups.values() for one in of):
            rows.append([title, *(share(of, path) for of in groups.values())])
    bits = ["tasks", "bits_per_byte", "score"]
    rows.append(["bits per byte", *(f"{mean(of, bits):.4f}" for of in groups.values())])
    for name in ("words", "distinct_1", "distinct_2", "distinct_3"):
        rows.append(
            [name.replace("_", " "), *(f"{mean(of, [name]):.3f}" for of in groups.values())]
        )
    return table(["measure", *groups], rows)


def value(result: Any, path: list[str]) -> Any:
    for key in path:
        result = result[key]
    return result


def mean(results: list[dict[str, Any]], path: list[str]) -> float:
    return sum(float(value(result, path)) for result in results) / len(results)


def share(results: list[dict[str, Any]], path: list[str]) -> str:
    """Format the share of right answers over all seeds, with its 95 % interval (Wilson)."""
    score = mean(results, [*path, "score"])
    n = sum(int(value(result, path)["n"]) for result in results)
    low, high = wilson(round(score * n), n)
    return f"{score:.1%} ({low:.0%} to {high:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--run", required=True)
    parser.add_argument("--time", default="3m", type=lambda text: parse_duration(text) or 0.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--sft-lr-scale", type=float, default=0.1)
    parser.add_argument("--max-items", type=int, help="items in each part of the exam")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    source, seconds = registry.open_run(arguments.run), arguments.time
    before = measure(source, "sft", arguments.max_items)
    arms: dict[str, list[dict[str, Any]]] = {"more finetuning": [], "reinforcement learning": []}
    for seed in arguments.seeds:
        more = finetuned(source, seed, seconds, arguments.sft_lr_scale)
        arms["more finetuning"].append(measure(more, "sft", arguments.max_items))
        run = reinforced(source, seed, seconds, arguments.overrides)
        arms["reinforcement learning"].append(measure(run, "rl", arguments.max_items))
    if arguments.out:
        document = {"before": before, "arms": arms, "seconds": seconds, "set": arguments.overrides}
        arguments.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(render(before, arms))


if __name__ == "__main__":
    main()
