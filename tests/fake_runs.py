"""Run directories that grow as if a model were training, for tests that only read them."""

import json
import os
import time
from typing import Any

from factories import make_manifest, make_metrics_line, make_recipe

from firstwords.common import files
from firstwords.recipe import REQUIRED_STAGES, RLConfig, Stage
from firstwords.runs import registry
from firstwords.runs.run import Run

STEPS = 4  # of each stage
RL = RLConfig(steps=STEPS, seq_len=32)
PLANNED = {"tokenizer": 20, "pretrain": 40, "midtrain": 40, "sft": 40, "evaluation": 20}


def start_run(name: str, **changes: Any) -> Run:
    """A new run that has a plan and a tokenizer; `changes` are those of its recipe."""
    bits = {"stage": "pretrain", "expected": 2.0, "range": [1.8, 2.2]}
    predicted = {"phase_seconds": PLANNED, "bits_per_byte": bits}
    recipe = make_recipe(**changes).replace_stages(steps=STEPS)
    with registry.lock_run(name) as directory:
        run = registry.create_run(directory, make_manifest(recipe, predicted=predicted))
    for path in (run.tokenizer_path, run.tokenizer_stats_path):
        files.write_text(path, "{}")
    record_time(run, tokenizer=20.0)
    return run


def record_time(run: Run, **seconds: float) -> None:
    timings = {name: {"seconds": time, "peak_memory": 1.0} for name, time in seconds.items()}
    files.write_json(run.timings_path, timings)


def make_old(run: Run, seconds: float = 100) -> None:
    """Let the run's last change be so long ago."""
    for path in run.directory.rglob("*"):
        os.utime(path, (time.time() - seconds, time.time() - seconds))


def add_steps(run: Run, stage: Stage, *steps: int) -> None:
    run.metrics(stage).parent.mkdir(exist_ok=True)
    with run.metrics(stage).open("a") as file:
        file.writelines(f"{make_metrics_line(step)}\n" for step in steps)


def add_rollouts(run: Run, rewards: dict[str, float], *steps: int) -> None:
    """Add steps of reinforcement learning with these rewards of kinds of questions."""
    reward = sum(rewards.values()) / len(rewards)
    measured = {"answer_tokens": 20.0, "mixed_groups": 0.75, "divergence": 0.01, "cut": 0.0}
    rollouts = {"reward": reward, "rewards": rewards, **measured}
    with run.metrics("rl").open("a") as file:
        file.writelines(
            f"{json.dumps(json.loads(make_metrics_line(step)) | rollouts)}\n" for step in steps
        )


def finish(run: Run, *stages: Stage) -> None:
    """Finish stages that have no steps yet."""
    for stage in stages:
        add_steps(run, stage, *range(1, STEPS + 1))
        (run.checkpoints(stage) / f"{STEPS:07d}").mkdir(parents=True)


def add_sample(run: Run, stage: Stage, step: int, answer: str = "yes") -> None:
    bits = {"score": 2.0, "ci95": [1.9, 2.1], "n": 3}
    answers = [{"prompt": "Hi", "kind": "question", "answer": answer}]
    sample = {"stage": stage, "step": step, "bits_per_byte": bits, "samples": answers}
    files.write_json(run.samples_path(stage, step), sample)


def evaluate(run: Run, *stages: Stage) -> None:
    """Give stages an exam score of 50 %."""
    score = {"title": "exam", "score": 0.5, "chance": 0.1, "ci95": [0.4, 0.6], "n": 10}
    exam = score | {"categories": {"sums": score | {"note": ""}}, "empty": 0, "broken_call": 0}
    bits = score | {"text_bytes": 9, "categories": {}}
    tasks = {"bits_per_byte": bits, "exam": exam, "blimp": {"title": "BLiMP", "absent": "no data"}}
    for stage in stages:
        document = {"stage": stage, "step": STEPS, "tasks": tasks, "chat_loss": 1.0, "samples": []}
        files.write_json(run.evaluation(stage), document)


def finish_everything(run: Run) -> None:
    """Finish a run of which no stage has begun."""
    finish(run, *REQUIRED_STAGES)
    evaluate(run, *REQUIRED_STAGES)
    record_time(run, **dict.fromkeys(PLANNED, 30.0))


def phases_of(document: dict[str, Any], key: str) -> list[Any]:
    """Return a field of each phase of a progress document."""
    return [phase[key] for phase in document["phases"]]
