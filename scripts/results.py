#!/usr/bin/env python3
"""Write docs/results.json: the figures that the documentation quotes, from a finished run.

    python scripts/results.py --run NAME                read the run, and plan several times
    python scripts/results.py --run NAME --keep-plans   read the run; keep the existing plans
    python scripts/results.py --run NAME --budget       add the run to those that show what a time
                                                        budget gives; keep all other figures

Then run `python scripts/make_docs.py` to fill them into the pages. Planning takes minutes. Every
figure comes from the run's files or from `firstwords plan --json` on this machine.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.recipe import REQUIRED_STAGES
from firstwords.runs import phases, registry
from firstwords.runs.metrics import read_metrics, summarize_loss
from firstwords.runs.run import Run

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results.json"
PLANNED = ("5m", "15m", "30m", "1h", "3h")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", help="name of the run (default: the newest)")
    parser.add_argument("--keep-plans", action="store_true", help="keep the existing plans")
    parser.add_argument("--budget", action="store_true", help="show what the run's budget gives")
    options = parser.parse_args()
    before = files.read_json(RESULTS)
    try:
        run = registry.open_run(options.run)
        check_finished(run)
        if options.budget:
            results = {**before, "budgets": with_budget(before["budgets"], run)}
        else:
            results = {**figures_of(run), "budgets": before["budgets"]}
    except UserError as error:
        sys.exit(f"results.py: {error}")
    if not options.budget:
        results["plans"] = before["plans"] if options.keep_plans else make_plans()
    files.write_json(RESULTS, results)
    print(f"{RESULTS}: run {run.name}; now run python scripts/make_docs.py")


def check_finished(run: Run) -> None:
    """Raise UserError if a phase of the run is left."""
    left = [phase.title for phase in phases.unfinished(run)]
    if left:
        raise UserError(
            f"run {run.name} is not finished; its next phases are {', '.join(left)}",
            f"first run: firstwords train --run {run.name}",
        )


def figures_of(run: Run) -> dict[str, Any]:
    """Return the figures of a finished run. Raises UserError if it has no plan."""
    if not run.manifest.predicted:
        raise UserError(f"run {run.name} has no plan", "use a run that was started with --time")
    return {
        "generated_by": f"python scripts/results.py --run {run.name}",
        "machine": run.manifest.machine,
        "model": run.recipe.model.model_dump(),
        "parameters": run.manifest.predicted["parameters"],
        "settings": run.recipe.model_dump(include={"n_threads", "dtype", "compile"}),
        "planned": _planned(run),
        "actual": _actual(run),
        "tokenizer": files.read_json(run.tokenizer_stats_path),
        "stages": {stage: _stage(run, stage) for stage in REQUIRED_STAGES},
        "exam": _exam(run),
        "samples": {s: files.read_json(run.evaluation(s))["samples"] for s in REQUIRED_STAGES},
        "comparison": run.manifest.predicted["comparison"],
    }


def _planned(run: Run) -> dict[str, Any]:
    predicted = run.manifest.predicted
    copied = ("total_seconds", "tokens_per_second", "flops_per_token", "memory_bytes", "disk_bytes")
    return {
        "budget": run.manifest.time,
        **{name: predicted[name] for name in copied},
        "bits_per_byte": predicted["bits_per_byte"],
    }


def _actual(run: Run) -> dict[str, Any]:
    timings = run.timings()
    disk = sum(path.stat().st_size for path in run.directory.rglob("*") if path.is_file())
    return {
        "seconds": run.total_seconds(),
        "memory_bytes": max(phase["peak_memory"] for phase in timings.values()),
        "disk_bytes": disk,
        "phases": {name: phase["seconds"] for name, phase in timings.items()},
    }


def _stage(run: Run, stage: Any) -> dict[str, Any]:
    config, summary = run.recipe.stage(stage), summarize_loss(read_metrics(run.metrics(stage)))
    assert summary, f"{run.metrics(stage)} is missing"
    evaluation = files.read_json(run.evaluation(stage))
    tasks = evaluation["tasks"]
    return {
        "steps": config.steps,
        "tokens": config.tokens,
        "lr_scale": config.lr_scale,
        "tokens_per_second": config.tokens / summary.seconds,
        "first_loss": summary.first_loss,
        "last_loss": summary.last_loss,
        "bits_per_byte": tasks["bits_per_byte"]["score"],
        "answer_loss": evaluation["chat_loss"],
        "exam": tasks["exam"]["score"] if "exam" in tasks else None,
    }


def _exam(run: Run) -> dict[str, Any]:
    """Return the scores of the exam after SFT: in total and by part."""
    exam = files.read_json(run.evaluation("sft"))["tasks"]["exam"]
    copied = ("title", "score", "chance", "ci95", "n")
    parts = exam["categories"].items()
    return {
        **{name: exam[name] for name in copied},
        "items": next(iter(exam["categories"].values()))["n"],
        "parts": {name: {key: part[key] for key in copied} for name, part in parts},
    }


def with_budget(budgets: list[dict[str, Any]], run: Run) -> list[dict[str, Any]]:
    """Return what the run shows of its time budget and dtype, beside the other budgets."""
    model, exam = run.recipe.model, _exam(run)
    samples = files.read_json(run.evaluation("sft"))["samples"]
    shown = {
        "time": f"{run.manifest.time / 60:g}m",
        "dtype": run.recipe.dtype,
        "cpu": run.manifest.machine["cpu"],
        "seconds": _actual(run)["seconds"],
        "n_layer": model.n_layer,
        "n_embd": model.n_embd,
        "exam": {key: exam[key] for key in ("score", "ci95")},
        "answers": {s["prompt"]: s["answer"] for s in samples if s["kind"] == "question"},
    }
    key = (shown["time"], shown["dtype"])
    others = [row for row in budgets if (row["time"], row["dtype"]) != key]
    return sorted([*others, shown], key=lambda row: (row["dtype"], row["seconds"]))


def make_plans() -> list[dict[str, Any]]:
    """Return the plans of `firstwords plan --json` on this machine for several time budgets."""
    plans = []
    for time in PLANNED:
        command = [sys.executable, "-m", "firstwords", "plan", "--time", time, "--json"]
        print(" ".join(["firstwords", *command[3:]]), file=sys.stderr)
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        plan = json.loads(done.stdout)
        recipe, predicted = plan["recipe"], plan["predicted"]
        plans.append(
            {
                "time": time,
                "n_layer": recipe["model"]["n_layer"],
                "n_embd": recipe["model"]["n_embd"],
                "parameters": predicted["parameters"]["all"],
                "tokens": sum(recipe[s]["steps"] * _batch(recipe[s]) for s in REQUIRED_STAGES),
                "memory_bytes": predicted["memory_bytes"],
                "disk_bytes": predicted["disk_bytes"],
                "bits_per_byte": predicted["bits_per_byte"]["expected"],
                "total_seconds": predicted["total_seconds"],
            }
        )
    return plans


def _batch(stage: dict[str, Any]) -> int:
    return int(stage["batch_size"] * stage["seq_len"])


if __name__ == "__main__":
    main()
