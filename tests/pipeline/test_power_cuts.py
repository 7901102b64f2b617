"""Cut the power anywhere: what survives can be resumed, and ends with the same bytes."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from end_to_end import STAGES, Bench, final_checkpoint, fingerprint, wait_for
from factories import make_manifest
from power_cuts import FATES, LOST, LoopDevice, SimulatedDisk, loop_device

from firstwords.common import console
from firstwords.evaluation import growth_samples
from firstwords.pipeline.phases import run_all
from firstwords.recipe import Recipe
from firstwords.report.report import publish
from firstwords.runs import phases, registry
from firstwords.runs.manifest import Manifest, Sources
from firstwords.runs.metrics import read_metrics
from firstwords.training import checkpoint
from firstwords.training.session import Session

pytestmark = pytest.mark.slow

STEPS = {"pretrain": 6, "midtrain": 4, "sft": 3}
RESUME_EVERY = 40  # flushes of a run, between two cuts that are resumed to the end


def train(home: Path, manifest: Manifest) -> Path:
    """Start or resume the run in `home` as the command does, with a checkpoint for every step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(home))
        patch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0)
        patch.setattr(checkpoint, "WRITE_FRACTION", float("inf"))
        with registry.lock_run("x") as directory:
            if registry.run_exists(directory):
                run = registry.open_run_directory(directory)
            else:
                run = registry.create_run(directory, manifest)
            run_all(Session(run, callbacks=[growth_samples.sample_callback(run)]))
    return directory


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("power"), **STEPS)


@pytest.fixture(scope="module")
def manifest(bench: Bench) -> Manifest:
    recipe = Recipe.model_validate_json(bench.recipe.read_bytes())
    return make_manifest(recipe, sources=Sources(data=str(bench.text), chat_data=str(bench.chat)))


@pytest.fixture(scope="module")
def expected(bench: Bench, manifest: Manifest) -> dict[str, str]:
    return fingerprint(train(bench.home, manifest))


@pytest.fixture
def _nothing_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail at a note: those of a resumed run say what was damaged."""

    def warn(text: str) -> None:
        pytest.fail(text)

    monkeypatch.setattr(console, "warn", warn)


def check_order(home: Path) -> list[int]:
    """Check that all that a run's files refer to is there. Returns its newest steps by stage."""
    directory = home / "runs" / "x"
    if not directory.exists() or not registry.run_exists(directory):
        return []
    run = registry.open_run_directory(directory)
    newest = []
    for stage, before in zip(STAGES, phases.PHASES, strict=False):
        if found := run.newest(stage):
            assert before.is_done(run), f"{stage} has begun, but {before.name} is lost"
            steps = [line["step"] for line in read_metrics(run.metrics(stage))]
            assert steps[: found.step] == list(range(1, found.step + 1))
            newest.append(found.step)
    return newest


@pytest.mark.usefixtures("_nothing_lost")
def test_after_a_cut_before_any_flush_the_run_ends_with_the_same_bytes(
    manifest: Manifest, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("FIRSTWORDS_TEST_SEED", random.randrange(10**6)))
    print(f"FIRSTWORDS_TEST_SEED={seed}")
    rng = random.Random(seed)
    home, to_resume, newest = tmp_path / "disk", [], []
    home.mkdir()
    disk = SimulatedDisk(home)

    def cut() -> None:
        name = tmp_path / f"{disk.n_syncs}"
        flushed = check_order(disk.survivors(name.with_suffix(".flushed"), lambda: LOST))
        assert flushed >= newest, "a checkpoint that was on the disk is gone"
        newest[:] = flushed
        survivors = disk.survivors(name.with_suffix(".mixed"), lambda: rng.choice(FATES))
        check_order(survivors)
        if disk.n_syncs % RESUME_EVERY == seed % RESUME_EVERY:
            to_resume.append(survivors)

    disk.on_sync = cut
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", disk.fsync)
        train(home, manifest)
    finished = disk.survivors(tmp_path / "finished", lambda: LOST)
    disk.close()
    assert fingerprint(finished / "runs" / "x") == expected
    for survivors in to_resume:
        assert fingerprint(train(survivors, manifest)) == expected, survivors


def test_a_run_whose_metrics_are_lost_is_resumed_and_reported(
    bench: Bench,
    manifest: Manifest,
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Versions that did not flush them lost them to power cuts."""
    monkeypatch.chdir(tmp_path)
    directory = Path(shutil.copytree(bench.home, tmp_path / "home")) / "runs" / "x"
    shutil.rmtree(directory / "evaluation")
    shutil.rmtree(final_checkpoint(directory, "sft"))
    for stage in STAGES:
        (directory / "metrics" / f"{stage}.jsonl").write_text("")
    found = fingerprint(train(tmp_path / "home", manifest))
    assert {name for name in expected if found[name] != expected[name]} == {
        f"metrics of {stage}" for stage in STAGES
    }
    assert "sft.jsonl lacks 2 of 2 steps" in " ".join(capsys.readouterr().err.split())
    publish(registry.open_run_directory(directory))
    assert "metrics missing" in (directory / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def device() -> Iterator[LoopDevice]:
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(loop_device())
        except OSError as error:
            pytest.skip(f"needs a loop device: {error}")
        yield opened


@pytest.mark.usefixtures("_nothing_lost")
def test_after_real_cuts_the_run_ends_with_the_same_bytes(
    device: LoopDevice, bench: Bench, expected: dict[str, str], tmp_path: Path
) -> None:
    on_device = Bench(tmp_path / "bench", home=device.path, **STEPS)
    on_device.share_step()
    device.flush()  # the copied library; a run flushes what it compiles itself
    for reached in ("checkpoints/pretrain/*", "checkpoints/sft/*", "evaluation/*.json"):
        started = on_device.start(*on_device.train(), careful=0)
        try:
            pattern = f"runs/x/{reached}"
            wait_for(started, lambda pattern=pattern: any(device.path.glob(pattern)))
            device.cut_power()
        finally:
            started.process.kill()
            started.process.wait()
        device.restart()
        check_order(device.path)
    done = on_device.firstwords(*on_device.train(), careful=0)
    assert done.returncode == 0, done.stderr
    assert "note:" not in done.stderr
    assert fingerprint(device.path / "runs" / "x") == expected
