"""`train --from RUN`: a run that starts from the model of another one, and needs it no more."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from end_to_end import STAGES, Bench, metrics, recipe

from firstwords.cli.main import run_command
from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.pipeline import launch, phases
from firstwords.pipeline.request import TrainRequest, run_name
from firstwords.report.report import publish
from firstwords.runs import registry
from firstwords.runs.datasets import open_conversations
from firstwords.runs.differences import run_differences
from firstwords.runs.origins import find_source
from firstwords.runs.run import Run
from firstwords.runs.summary import summarize
from firstwords.training import checkpoint

STEPS = {"pretrain": 12, "midtrain": 6, "sft": 4}
CONTINUED = {"pretrain": 0, "midtrain": 6, "sft": 4}


class Killed(Exception):
    """Raised in the middle of a stage."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("from"), **STEPS)


@pytest.fixture(scope="module")
def source(bench: Bench) -> Path:
    """The run that the others start from, without evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(bench.home))
        train(bench, TrainRequest("first", recipe=bench.recipe))
    return bench.directory("first")


@pytest.fixture
def continuing(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> TrainRequest:
    """A request to continue that run, in a home where it is the only one."""
    monkeypatch.setenv("FIRSTWORDS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(source, tmp_path / "home" / "runs" / "first")
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe(**CONTINUED, tokenizer_bytes=0, seed=1)))
    return TrainRequest(recipe=path, from_run="first")


def train(bench: Bench, request: TrainRequest, kill_at: int = 0) -> Run:
    """Train the phases up to sft on the bench's data; `kill_at` is a step of midtraining."""
    request = request._replace(data=str(bench.text), chat_data=str(bench.chat))

    @contextmanager
    def killer(stage: str, *rest: Any) -> Iterator[Any]:
        def on_step(step: Any) -> None:
            if stage == "midtrain" and step.step == kill_at:
                raise Killed

        yield on_step

    with launch.start_run(request) as session:
        session.callbacks = [killer]
        for phase in ("tokenizer", *STAGES):
            phases.run_phase(session, phase)
        return session.run


def weights(run: Run, stage: Any) -> bytes:
    return (run.finished_or_fail(stage).directory / "model.safetensors").read_bytes()


def test_a_run_starts_from_the_weights_and_tokenizer_of_its_source(
    bench: Bench, continuing: TrainRequest
) -> None:
    run, first = train(bench, continuing), registry.open_run("first")
    assert run.name == "first-2"
    assert weights(run, "pretrain") == weights(first, "sft")
    assert weights(run, "sft") != weights(first, "sft")
    assert run.tokenizer_path.read_bytes() == first.tokenizer_path.read_bytes()
    assert metrics(run.directory, "midtrain")[0]["loss"] < 5.6  # ln(400) is 6.0
    origin = run.manifest.origin
    assert origin
    assert (origin.run, origin.stage, origin.step) == ("first", "sft", 4)
    assert summarize(run.directory)["origin"] == "first, sft, step 4"
    (difference,) = (one for one in run_differences([first, run]) if one.name == "origin")
    assert difference.values == [None, "first, sft, step 4"]


def test_a_killed_run_ends_with_the_same_bytes_without_its_source(
    bench: Bench, continuing: TrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "WRITE_FRACTION", float("inf"))
    whole = train(bench, continuing._replace(name="whole"))
    killed = continuing._replace(name="killed")
    with pytest.raises(Killed):
        train(bench, killed, kill_at=4)
    shutil.rmtree(registry.runs_home() / "first")
    run = train(bench, killed)
    for stage in STAGES:
        assert weights(run, stage) == weights(whole, stage)


def test_a_run_continues_pretraining(bench: Bench, continuing: TrainRequest) -> None:
    path = Path("text.json")
    path.write_text(json.dumps(recipe(**{**STEPS, "pretrain": 3}, tokenizer_bytes=0, seed=1)))
    request = continuing._replace(recipe=path, from_run="first:pretrain", name="more")
    run = train(bench, request)
    last = metrics(registry.open_run("first").directory, "pretrain")[-1]["loss"]
    assert metrics(run.directory, "pretrain")[0]["loss"] == pytest.approx(last, abs=0.4)


def test_the_new_run_holds_out_what_its_source_held_out(
    bench: Bench, continuing: TrainRequest
) -> None:
    runs = [registry.open_run("first"), train(bench, continuing)]
    assert runs[0].recipe.seed != runs[1].recipe.seed
    held_out = [
        [*corpora.conversations(open_conversations(run), "val", run.recipe.seed)] for run in runs
    ]
    assert held_out[0] == held_out[1]


def test_the_report_of_a_run_with_a_skipped_stage(bench: Bench, continuing: TrainRequest) -> None:
    run = train(bench, continuing)
    with launch.resume_run(run.name) as session:
        phases.run_all(session)
    publish(run)
    report = (run.directory / "report.md").read_text(encoding="utf-8")
    assert "starts from: first, sft, step 4" in report
    assert "| Pretrain | skipped |" in report
    assert summarize(run.directory)["state"] == "finished"


def test_the_same_command_resumes_and_another_one_starts_the_next_run(
    bench: Bench, continuing: TrainRequest
) -> None:
    request = continuing._replace(data=str(bench.text), chat_data=str(bench.chat))
    assert run_name(request) == "first-2"
    train(bench, request)
    assert run_name(request) == "first-2"
    assert run_name(request._replace(seed=7)) == "first-3"
    assert run_name(request._replace(from_run="first-2")) == "first-3"
    assert run_name(TrainRequest()) == "default"
    with pytest.raises(UserError, match="--from differs from that of run first-2"):
        train(bench, request._replace(name="first-2", from_run="first:midtrain"))


@pytest.mark.parametrize(
    ("from_run", "problem"),
    [
        ("frist", "run frist does not exist"),
        ("first:base", "--from first:base names no stage"),
        ("fir/st", "the run name fir/st is not valid"),
    ],
)
def test_a_source_that_does_not_exist(
    continuing: TrainRequest, from_run: str, problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        find_source(from_run)


def test_a_source_that_is_unfinished_damaged_or_in_use(continuing: TrainRequest) -> None:
    run = registry.open_run("first")
    with registry.lock_run("first"):
        with pytest.raises(UserError, match="--from first is being trained now"):
            find_source("first")
        assert find_source("first:pretrain").stage == "pretrain"
    model = run.finished_or_fail("sft").directory / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(UserError, match="--from first: the weights of sft are damaged"):
        find_source("first")
    shutil.rmtree(run.checkpoints("sft"))
    assert find_source("first").stage == "midtrain"
    with pytest.raises(UserError, match="run first has not finished sft"):
        find_source("first:sft")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--from", "first", "--set", "model.n_layer=3"], "the recipe has another model than run"),
        (["--from", "first", "--recipe", "laptop"], "--from does not go with a recipe by depth"),
        (["--set", "pretrain.steps=0"], "pretrain.steps is 0, which needs the model of another"),
    ],
)
def test_options_that_do_not_go_with_a_source(
    bench: Bench,
    continuing: TrainRequest,
    options: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sources = ["--data", str(bench.text), "--chat-data", str(bench.chat)]
    if "--recipe" not in options:
        options = [*options, "--recipe", str(continuing.recipe)]
    assert run_command(["train", "--run", "new", *options, *sources]) == 2
    assert problem in capsys.readouterr().err
    assert not registry.run_exists(registry.runs_home() / "new")
