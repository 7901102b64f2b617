#!/usr/bin/env python3
"""Write docs/results.json: the figures that the documentation quotes, from a finished run.

    python scripts/results.py --run NAME            the run's own files, and a few plans (minutes)
    python scripts/results.py --run NAME --keep-plans   its files alone; the plans stay as they are

Then `python scripts/make_docs.py` puts them into the pages. All of it is read off the run's files
or printed by `firstwords plan --json` on this machine; nothing is typed by hand.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from firstwords import files, pipeline
from firstwords import run as runs
from firstwords.errors import UserError
from firstwords.recipe import STAGES
from firstwords.run import Run, course, read_metrics

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results.json"
PLANNED = ("5m", "15m", "30m", "1h", "3h")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", help="which run; the last without it")
    parser.add_argument("--keep-plans", action="store_true", help="do not plan anew")
    options = parser.parse_args()
    try:
        run = runs.open_run(options.run)
        results = figures_of(run)
    except UserError as error:
        sys.exit(f"results.py: {error}")
    results["plans"] = files.read_json(RESULTS)["plans"] if options.keep_plans else plans()
    files.write_json(RESULTS, results)
    print(f"{RESULTS}: run {run.name}; now run python scripts/make_docs.py")


def figures_of(run: Run) -> dict[str, Any]:
    """What a page may say about a run. Raises UserError if it is not finished, or unplanned."""
    left = [phase.title for phase in pipeline.PHASES if not phase.done(run)]
    if left:
        raise UserError(f"run {run.name} is not finished", f"still to come: {', '.join(left)}")
    if not run.manifest.predicted:
        raise UserError(f"run {run.name} was not planned", "take one that was given a --time")
    return {
        "made by": f"python scripts/results.py --run {run.name}",
        "machine": run.manifest.machine,
        "model": run.recipe.model.model_dump(),
        "parameters": run.manifest.predicted["parameters"],
        "settings": run.recipe.model_dump(include={"n_threads", "dtype", "compile"}),
        "planned": _planned(run),
        "came": _came(run),
        "tokenizer": files.read_json(run.tokenizer_stats_path),
        "stages": {stage: _stage(run, stage) for stage in STAGES},
        "exam": _exam(run),
        "samples": {s: files.read_json(run.evaluation(s))["samples"] for s in STAGES},
        "comparison": run.manifest.predicted["comparison"],
    }


def _planned(run: Run) -> dict[str, Any]:
    predicted = run.manifest.predicted
    kept = ("total_seconds", "tokens_per_second", "flops_per_token", "memory_bytes", "disk_bytes")
    return {
        "budget": run.manifest.time,
        **{name: predicted[name] for name in kept},
        "bits_per_byte": predicted["bits_per_byte"],
    }


def _came(run: Run) -> dict[str, Any]:
    timings = run.timings()
    disk = sum(path.stat().st_size for path in run.directory.rglob("*") if path.is_file())
    return {
        "seconds": sum(phase["seconds"] for phase in timings.values()),
        "memory_bytes": max(phase["peak_memory"] for phase in timings.values()),
        "disk_bytes": disk,
        "phases": {name: phase["seconds"] for name, phase in timings.items()},
    }


def _stage(run: Run, stage: Any) -> dict[str, Any]:
    config, went = run.recipe.stage(stage), course(read_metrics(run.metrics(stage)))
    evaluation = files.read_json(run.evaluation(stage))
    tasks = evaluation["tasks"]
    return {
        "steps": config.steps,
        "tokens": config.tokens,
        "lr_scale": config.lr_scale,
        "tokens_per_second": config.tokens / went.seconds,
        "first_loss": went.first_loss,
        "last_loss": went.last_loss,
        "bits_per_byte": tasks["bits_per_byte"]["score"],
        "answer_loss": evaluation["chat_loss"],
        "exam": tasks["exam"]["score"] if "exam" in tasks else None,
    }


def _exam(run: Run) -> dict[str, Any]:
    """The exam after finetuning: as a whole and by its parts."""
    exam = files.read_json(run.evaluation("sft"))["tasks"]["exam"]
    kept = ("title", "score", "chance", "ci95", "n")
    parts = exam["categories"].items()
    return {
        **{name: exam[name] for name in kept},
        "items": next(iter(exam["categories"].values()))["n"],
        "parts": {name: {key: part[key] for key in kept} for name, part in parts},
    }


def plans() -> list[dict[str, Any]]:
    """What `firstwords plan --json` says here for several budgets."""
    made = []
    for time in PLANNED:
        command = [sys.executable, "-m", "firstwords", "plan", "--time", time, "--json"]
        print(" ".join(["firstwords", *command[3:]]), file=sys.stderr)
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        plan = json.loads(done.stdout)
        recipe, predicted = plan["recipe"], plan["predicted"]
        made.append(
            {
                "time": time,
                "n_layer": recipe["model"]["n_layer"],
                "n_embd": recipe["model"]["n_embd"],
                "parameters": predicted["parameters"]["all"],
                "tokens": sum(recipe[s]["steps"] * _batch(recipe[s]) for s in STAGES),
                "memory_bytes": predicted["memory_bytes"],
                "disk_bytes": predicted["disk_bytes"],
                "bits_per_byte": predicted["bits_per_byte"]["expected"],
                "total_seconds": predicted["total_seconds"],
            }
        )
    return made


def _batch(stage: dict[str, Any]) -> int:
    return int(stage["batch_rows"] * stage["seq_len"])


if __name__ == "__main__":
    main()
