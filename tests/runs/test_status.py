"""The progress of a run: phases, times, curve, samples and scores, from files that grow."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from factories import make_manifest, make_metrics_line
from fake_runs import (
    PLANNED,
    RL,
    STEPS,
    add_rollouts,
    add_sample,
    add_steps,
    evaluate,
    finish,
    make_old,
    phases_of,
    start_run,
)

from firstwords.common import files
from firstwords.common.locks import exclusive_lock
from firstwords.recipe import REQUIRED_STAGES
from firstwords.runs import live_metrics, registry
from firstwords.runs.run import Run
from firstwords.runs.status import RunProgress
from firstwords.runs.time_left import PhaseTime, seconds_left


@pytest.fixture
def run(home: Path) -> Run:
    """A run 100 s after its last change."""
    run = start_run("first")
    make_old(run)
    return run


def evaluation_phase(run: Run) -> dict[str, Any]:
    phase: dict[str, Any] = RunProgress(run).document()["phases"][-1]
    return phase


def test_a_run_before_its_first_step(run: Run) -> None:
    document = RunProgress(run).document()
    assert phases_of(document, "done") == [True, False, False, False, False]
    assert phases_of(document, "current") == [False, True, False, False, False]
    assert phases_of(document, "planned_seconds") == list(PLANNED.values())
    assert document["seconds_left"] == 140
    assert (document["stage"], document["n_samples"], document["bits_per_byte"]) == (None, 0, [])
    assert document["curve"]["points"] == []
    assert document["forecast"]["expected"] == 2.0


def test_a_run_in_training(run: Run) -> None:
    finish(run, "pretrain")
    add_steps(run, "midtrain", 1, 2)
    with run.metrics("midtrain").open("a") as file:
        file.write(make_metrics_line(3)[:20])  # a line that is being written
    document = json.loads(json.dumps(RunProgress(run).document()))
    assert document["stage"] == {
        "name": "midtrain",
        "step": 2,
        "steps": STEPS,
        "loss": 1.5,
        "seconds_left": 1.0,  # 2 steps of half a second
        "tokens_per_second": run.recipe.midtrain.batch_tokens / 0.5,
    }
    assert [point[:3] for point in document["curve"]["points"]] == [
        *([0, step, step / 2] for step in range(1, STEPS + 1)),
        *([1, step, step / 2] for step in (1, 2)),
    ]


def test_a_finished_run_has_scores(run: Run) -> None:
    finish(run, *REQUIRED_STAGES)
    evaluate(run, *REQUIRED_STAGES)
    document = RunProgress(run).document()
    assert document["state"] == "finished"
    assert document["seconds_left"] == 0
    assert list(document["scores"]["sft"]) == ["bits_per_byte", "exam"], "no data is no score"
    assert document["scores"]["sft"]["exam"]["score"] == 0.5


def test_a_run_is_running_while_it_is_locked_or_its_files_change(run: Run) -> None:
    progress = RunProgress(run)
    assert progress.document()["state"] == "stopped"
    with exclusive_lock(run.directory / "lock"):
        assert progress.document()["state"] == "running"
    make_old(run)
    assert progress.document()["state"] == "stopped"
    add_steps(run, "pretrain", 1)
    assert progress.document()["state"] == "running"


def test_time_runs_while_a_phase_without_steps_runs(run: Run) -> None:
    finish(run, *REQUIRED_STAGES)
    make_old(run)
    with registry.lock_run("first"):
        assert 0 <= evaluation_phase(run)["seconds"] < 60
        make_old(run)
        assert 100 <= evaluation_phase(run)["seconds"] < 200
        assert evaluation_phase(run)["seconds_left"] == 0
    assert evaluation_phase(run)["seconds"] == 0, "it is not running now"


def test_parts_of_the_evaluation_are_listed_in_their_order(run: Run) -> None:
    finish(run, *REQUIRED_STAGES)
    for age, part in ((2, "exam"), (1, "babble")):
        path = run.evaluation_part("pretrain", part)
        files.write_json(path, 1)
        os.utime(path, (time.time() - age, time.time() - age))
    evaluation = RunProgress(run).document()["phases"][-1]
    assert evaluation["parts"] == ["pretrain.exam", "pretrain.babble"]
    assert not evaluation["done"]


def test_only_new_points_are_sent_and_all_after_training_was_resumed(run: Run) -> None:
    progress = RunProgress(run)
    add_steps(run, "pretrain", 1, 2)
    first = progress.document()["curve"]
    assert len(first["points"]) == 2
    add_steps(run, "pretrain", 3)
    second = progress.document(first["revision"], 1)["curve"]
    assert (second["start"], [point[1] for point in second["points"]]) == (1, [2, 3])
    assert RunProgress(run).document(first["revision"], 1)["curve"] == second, "a new server"
    lines = run.metrics("pretrain").read_text().splitlines(keepends=True)
    files.write_text(run.metrics("pretrain"), "".join(lines[:2]))
    third = progress.document(second["revision"], 2)["curve"]
    assert (third["start"], [point[1] for point in third["points"]]) == (0, [1, 2])


def test_long_stages_are_averaged_over_steps(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_metrics, "MAX_POINTS", 2)
    progress = RunProgress(run)
    lines = [make_metrics_line(step).replace("1.5", str(step)) for step in (1, 2, 3)]
    run.metrics("pretrain").parent.mkdir()
    run.metrics("pretrain").write_text("".join(f"{line}\n" for line in lines))
    points = progress.document()["curve"]["points"]
    assert [(step, loss) for _, step, _, loss, _ in points] == [(2, 1.5), (3, 3.0)]


def test_points_of_reinforcement_learning_have_the_means_of_each_kind(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_metrics, "MAX_POINTS", 2)
    run = start_run("second", rl=RL)
    progress = RunProgress(run)
    add_steps(run, "sft", 1)
    add_rollouts(run, {"stories": 0.5, "sums": 1.0}, 1)
    assert progress.document()["curve"]["points"][1][5]["reward"] == 0.75
    add_rollouts(run, {"stories": 1.0}, 2)  # no question of the other kind
    add_rollouts(run, {"stories": 0.25}, 3)
    add_steps(run, "rl", 4)  # nothing was measured
    sft, first, second = progress.document()["curve"]["points"]
    assert len(sft) == 5
    assert first[5]["rewards"] == {"stories": 0.75, "sums": 1.0}
    assert first[5]["reward"] == 0.875
    assert second[5]["rewards"] == {"stories": 0.25}


def test_samples_are_in_the_order_of_training_and_read_again_after_a_change(run: Run) -> None:
    progress = RunProgress(run)
    add_sample(run, "midtrain", 2)
    add_sample(run, "pretrain", 4)
    assert [page["stage"] for page in progress.samples()] == ["pretrain", "midtrain"]
    add_sample(run, "midtrain", 2, answer="no, rather not")
    assert progress.samples()[1]["samples"][0]["answer"] == "no, rather not"


def test_unchanged_files_are_read_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(run, *REQUIRED_STAGES)
    evaluate(run, "sft")
    add_sample(run, "sft", 4)
    progress = RunProgress(run)
    document = progress.document()
    read: list[Path] = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or b"")
    assert progress.document() == document
    assert read == []


def test_times_left_follow_the_plan_and_the_speed_so_far() -> None:
    slow = [PhaseTime(True, 80.0, 40), PhaseTime(False, 10.0, 20), PhaseTime(False, 0.0, 30)]
    assert seconds_left(slow) == [0.0, 30.0, 60.0]
    short = [PhaseTime(True, 4.0, 2), PhaseTime(False, 0.0, 30)]
    assert seconds_left(short) == [0.0, 30.0], "a short phase says too little"
    measured = [PhaseTime(False, 30.0, 60, left=60.0), PhaseTime(False, 0.0, 10)]
    assert seconds_left(measured) == [60.0, 15.0]
    assert seconds_left([PhaseTime(False, 1.0, None)]) == [None]


def test_without_a_plan_the_speed_tells_how_long_the_next_stages_take(run: Run) -> None:
    shutil.rmtree(run.directory)
    with registry.lock_run("first") as directory:
        run = registry.create_run(directory, make_manifest(run.recipe))
    add_steps(run, "pretrain", 1)
    document = RunProgress(run).document()
    assert phases_of(document, "seconds_left")[1:4] == [1.5, 2.0, 2.0]
    assert document["seconds_left"] is None, "nothing says how long the evaluation takes"
