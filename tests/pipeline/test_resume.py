"""Pull the plug anywhere: run the same command again to resume, and ends with the same bytes."""

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from end_to_end import (
    STAGES,
    Bench,
    final_checkpoint,
    fingerprint,
    metrics,
    moments,
    one_line,
    wait_for,
)
from waiting import LIMIT_SECONDS

from firstwords.common.errors import Interrupted
from firstwords.tokenizer.bpe import Tokenizer

pytestmark = pytest.mark.slow

STEPS = {"pretrain": 150, "midtrain": 110, "sft": 90}
OFTEN = 0.2  # seconds between checkpoints


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("resume"), **STEPS)


@pytest.fixture(scope="module")
def whole(bench: Bench) -> Path:
    """A run that was never interrupted."""
    done = bench.firstwords(*bench.train("whole"), careful=OFTEN)
    assert done.returncode == 0, done.stderr
    return bench.directory("whole")


@pytest.fixture(scope="module")
def expected(whole: Path) -> dict[str, str]:
    return fingerprint(whole)


@pytest.fixture
def copy(bench: Bench, whole: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of the finished run under the name of the test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())
    return Path(shutil.copytree(whole, bench.directory(name)))


def finish(bench: Bench, run: str) -> str:
    """Run the same command again; it must succeed. Returns its stderr."""
    done = bench.firstwords(*bench.train(run), careful=OFTEN)
    assert done.returncode == 0, done.stderr
    return done.stderr


def finished_phases(bench: Bench, run: str) -> int:
    """Return how many phases the files say are done."""
    directory = bench.directory(run)
    done = [(directory / "tokenizer" / "stats.json").exists()]
    done += [
        (directory / "checkpoints" / stage / f"{STEPS[stage]:07d}").exists() for stage in STAGES
    ]
    done.append(all((directory / "evaluation" / f"{stage}.json").exists() for stage in STAGES))
    return done.index(False) if False in done else len(done)


# --- SIGKILL --------------------------------------------------------------------------------------


def test_a_run_killed_in_every_phase_ends_with_the_same_bytes(
    bench: Bench, whole: Path, expected: dict[str, str]
) -> None:
    seed = int(os.environ.get("FIRSTWORDS_TEST_SEED", random.randrange(10**6)))
    print(f"FIRSTWORDS_TEST_SEED={seed}")
    rng = random.Random(seed)
    seconds = [
        sum(step["seconds"] for step in metrics(whole, stage))
        for stage in ("pretrain", "midtrain", "sft")
    ]
    lengths = dict(zip(range(1, 6), [0.1, *seconds, 1.0], strict=True))
    directory, made, killed_in = bench.directory("killed"), {}, []
    for phase in (1, 1, 2, 2, 3, 3, 4, 4, 5, 5):
        done_before = finished_phases(bench, "killed")
        started = bench.start(*bench.train("killed"), careful=OFTEN)
        wait_for(started, lambda phase=phase, started=started: started.phase() >= phase)
        time.sleep(rng.uniform(0, 0.4 * lengths[phase]))
        started.process.kill()
        killed_in.append(started.phase())
        if started.process.wait() == 0 and phase == 5:
            break  # of the second evaluation little is left: a fast machine was done before
        assert started.process.returncode == -signal.SIGKILL, started.stderr
        made = only_added(made, directory)
        assert started.stderr.count("already done: ") == done_before, started.stderr
    assert set(killed_in) >= {2, 3, 4, 5}, killed_in  # the first may be over too soon
    assert finish(bench, "killed").count("already done: ") >= 4
    only_added(made, directory)
    assert fingerprint(directory) == expected


def only_added(before: dict[str, int], directory: Path) -> dict[str, int]:
    """Check that nothing finished was made again; older checkpoints of a stage may be removed."""
    now = moments(directory)
    for name, made in before.items():
        if name in now:
            assert now[name] == made, f"{name} was made again"
        else:
            assert "checkpoints" in name, f"{name} is gone"
    return now


def test_a_finished_part_of_an_evaluation_is_not_repeated(
    bench: Bench, copy: Path, expected: dict[str, str]
) -> None:
    kept = copy / "evaluation" / "midtrain.json"
    document = json.loads(kept.read_text())
    kept.unlink()
    samples = [{"prompt": "as", "kind": "it", "answer": "was"}]
    parts = {"bits_per_byte": document["tasks"]["bits_per_byte"], "samples": samples}
    for name, part in parts.items():
        (copy / "evaluation" / f"midtrain.{name}.part.json").write_text(json.dumps(part))
    finish(bench, copy.name)
    assert json.loads(kept.read_text()) == document | {"samples": samples}
    assert list(copy.glob("evaluation/*.part.json")) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "tokens/text/train/*",
        "checkpoints/pretrain/.tmp-0*",
        "checkpoints/midtrain/0*",
        "evaluation/pretrain.json",
    ],
)
def test_a_run_killed_while_writing_ends_with_the_same_bytes(
    pattern: str, bench: Bench, expected: dict[str, str]
) -> None:
    run = "kill-" + re.sub(r"\W+", "-", pattern)
    directory = bench.directory(run)
    started = bench.start(*bench.train(run), careful=0.02)
    with contextlib.suppress(AssertionError):  # some files live too short to be seen
        wait_for(started, lambda: next(directory.glob(pattern), None))
    started.process.kill()
    assert started.process.wait() == -signal.SIGKILL, f"{pattern} was never seen"
    finish(bench, run)
    assert fingerprint(directory) == expected


def test_resuming_removes_half_written_files(bench: Bench, copy: Path) -> None:
    """A kill leaves them under temporary names, which resuming would not use."""
    newest = final_checkpoint(copy, "sft")
    shutil.copytree(newest, newest.with_name(".tmp-0000001"))
    newest.rename(newest.with_name(f".tmp-removed-{newest.name}"))
    finish(bench, copy.name)
    assert not list(copy.rglob(".tmp-*"))


# --- SIGINT and SIGTERM ---------------------------------------------------------------------------


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_a_run_interrupted_in_every_phase_saves_and_exits_with_130(
    signal_number: signal.Signals, bench: Bench, expected: dict[str, str]
) -> None:
    run = f"interrupted-{signal_number.name}"
    directory = bench.directory(run)

    def interrupt(phase: int, happened: Callable[[], object]) -> str:
        started = bench.start(*bench.train(run))  # no checkpoint but the one at the interruption
        wait_for(started, lambda: started.phase() == phase and happened())
        started.process.send_signal(signal_number)
        assert started.process.wait(LIMIT_SECONDS) == 130, started.stderr
        return one_line(started.stderr)

    assert "run the same command again to resume" in interrupt(1, lambda: True)  # the tokenizer
    assert finished_phases(bench, run) == 0
    assert "run the same command again to resume" in interrupt(
        2, (directory / "tokens" / "text").exists
    )
    assert finished_phases(bench, run) == 1
    for phase, stage in enumerate(STAGES, 2):
        path = directory / "metrics" / f"{stage}.jsonl"
        line = interrupt(phase, lambda path=path: path.exists() and path.read_text().count("\n"))
        at = re.search(rf"{stage}, step (\d+) of {STEPS[stage]}", line)
        assert at, line
        assert final_checkpoint(directory, stage).name == f"{int(at[1]):07d}"
        assert len(metrics(directory, stage)) == int(at[1])
    assert "run the same command again to resume" in interrupt(
        5, (directory / "tokens" / "text" / "val").exists
    )
    finish(bench, run)
    assert fingerprint(directory) == expected


def test_an_interruption_is_not_mistaken_for_a_damaged_tokenizer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(text: str) -> None:
        raise Interrupted("SIGINT")

    (tmp_path / "tokenizer.json").write_text("{}")
    monkeypatch.setattr("firstwords.tokenizer.bpe.Backend", SimpleNamespace(from_str=interrupted))
    with pytest.raises(Interrupted):
        Tokenizer.load(tmp_path / "tokenizer.json")


# --- damage ---------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", truncate),
        ("model.safetensors", flip_a_bit),
        ("optimizer.safetensors", flip_a_bit),
        ("config.json", Path.unlink),
        ("checksums.json", truncate),
    ],
)
def test_a_damaged_newest_checkpoint_is_skipped(
    name: str,
    damage: Callable[[Path], object],
    bench: Bench,
    copy: Path,
    expected: dict[str, str],
) -> None:
    before = moments(copy)
    newest = final_checkpoint(copy, "sft")
    assert len(list(newest.parent.glob("0*"))) == 2
    damage(newest / name)
    said = finish(bench, copy.name)
    assert f"{newest} is damaged ({name}" in said
    earlier = re.search(r"resuming after step (\d+) of", said)
    assert earlier
    assert int(earlier[1]) < STEPS["sft"]
    assert fingerprint(copy) == expected
    kept = [name for name in before if f"/sft/{newest.name}" not in name]
    assert {name: moments(copy)[name] for name in kept if name in moments(copy)} == {
        name: before[name] for name in kept if name in moments(copy)
    }


def test_a_stage_whose_checkpoints_are_all_damaged_starts_again(
    bench: Bench, copy: Path, expected: dict[str, str]
) -> None:
    checkpoints = sorted((copy / "checkpoints" / "midtrain").glob("0*"))
    for checkpoint in checkpoints:
        flip_a_bit(checkpoint / "model.safetensors")
    said = finish(bench, copy.name)
    assert all(f"{checkpoint} is damaged" in said for checkpoint in checkpoints)
    assert fingerprint(copy) == expected


def test_a_damaged_checkpoint_is_reported_once(bench: Bench, copy: Path) -> None:
    checkpoints = sorted((copy / "checkpoints" / "midtrain").glob("0*"))
    for checkpoint in checkpoints:
        flip_a_bit(checkpoint / "model.safetensors")
    said = finish(bench, copy.name)
    assert said.count(f"{checkpoints[1]} is damaged") == 1
    assert said.count("using the previous one") == 1  # the first has no previous one


def test_chat_and_eval_skip_a_damaged_checkpoint(bench: Bench, copy: Path) -> None:
    newest = final_checkpoint(copy, "sft")
    flip_a_bit(newest / "model.safetensors")
    for command in (["chat", "-p", "Hello"], ["eval", "--json"]):
        done = bench.firstwords(command[0], "--run", copy.name, *command[1:])
        assert done.returncode == 0, done.stderr
        assert f"{newest} is damaged" in done.stderr
        assert str(newest) not in done.stdout


# --- two at once ----------------------------------------------------------------------------------


def test_a_second_process_on_the_same_run_is_refused(
    bench: Bench, expected: dict[str, str]
) -> None:
    started = bench.start(*bench.train("shared"), careful=OFTEN)
    path = bench.directory("shared") / "metrics" / "pretrain.jsonl"
    wait_for(started, path.exists)
    started.process.send_signal(signal.SIGSTOP)  # so that it is certainly still running
    for arguments in (bench.train("shared"), ["pretrain", "--run", "shared"]):
        second = bench.firstwords(*arguments)
        assert second.returncode == 2
        assert "is in use by another process" in one_line(second.stderr)
        assert "--run shared" in second.stderr
    started.process.send_signal(signal.SIGCONT)
    assert started.process.wait(LIMIT_SECONDS) == 0, started.stderr
    assert fingerprint(bench.directory("shared")) == expected


# --- a full disk ----------------------------------------------------------------------------------


class SmallDisk:
    def __init__(self, path: Path) -> None:
        self.path = path

    def leave(self, kilobytes: int) -> None:
        """Shrink the disk until only so much is free."""
        size = shutil.disk_usage(self.path).used // 1024 + kilobytes
        command = ["mount", "-o", f"remount,size={size}k", str(self.path)]
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "disk"
    path.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small disk here ({error})")
    (path / "ballast").write_bytes(bytes(4096))  # a size of 0 would mean no limit
    yield SmallDisk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)


# What of the finished run exists before, the kilobytes left, and the phase that fills the disk.
FULL = {
    "run.json": ([], 0, 0),
    "tokenizer": (["run.json"], 8, 1),
    "encoding": (["run.json", "tokenizer"], 12, 2),
    "metrics": (["run.json", "tokenizer", "tokens"], 8, 2),
    "checkpoint": (["run.json", "tokenizer", "tokens"], 300, 2),
    "later checkpoint": (
        ["run.json", "tokenizer", "tokens", "checkpoints/pretrain", "metrics/pretrain.jsonl"],
        500,
        3,
    ),
    "evaluation": (["run.json", "tokenizer", "tokens/*/train", "checkpoints", "metrics"], 8, 5),
}


@pytest.mark.parametrize("where", FULL)
def test_a_run_stops_on_a_full_disk_and_resumes_once_there_is_room(
    where: str,
    bench: Bench,
    whole: Path,
    expected: dict[str, str],
    disk: SmallDisk,
    tmp_path: Path,
) -> None:
    there, kilobytes, phase = FULL[where]
    small = Bench(tmp_path / "small", home=disk.path, **STEPS)
    small.recipe, small.text, small.chat = bench.recipe, bench.text, bench.chat
    directory = small.directory("x")
    directory.mkdir(parents=True)
    for source in (path for name in there for path in whole.glob(name)):
        target = directory / source.relative_to(whole)
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
    before = moments(directory)
    small.share_step()  # while there is still room
    disk.leave(kilobytes)

    stopped = small.start(*small.train("x"), careful=0.05)
    # A run that has not started is refused, because it could not finish.
    code, said = (1, "the disk is full") if there else (2, "not enough disk")
    assert stopped.process.wait(LIMIT_SECONDS) == code, stopped.stderr
    assert said in one_line(stopped.stderr)
    assert stopped.phase() == phase
    only_added(before, directory)

    disk.leave(30_000)
    done = small.firstwords(*small.train("x"), careful=OFTEN)
    assert done.returncode == 0, done.stderr
    assert fingerprint(directory) == expected
    only_added(before, directory)
    assert (small.cwd / "report.md").exists()


# --- a limit of the size of files, and a clock that jumps -----------------------------------------


@pytest.mark.parametrize("kilobytes", [8, 60], ids=["encoding", "checkpoint"])
def test_a_run_stops_at_a_limit_of_the_size_of_files_and_resumes_without_it(
    kilobytes: int, bench: Bench, expected: dict[str, str]
) -> None:
    run = f"limited-{kilobytes}"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))

    log = subprocess.PIPE  # a file would be limited, too
    stopped = bench.firstwords(
        *bench.train(run), capture_output=False, stdout=log, stderr=log, preexec_fn=limit
    )
    assert stopped.returncode == 1, stopped.stderr
    assert "a file reached the size limit" in one_line(stopped.stderr)
    finish(bench, run)
    assert fingerprint(bench.directory(run)) == expected


# Sets the clock forth and back by more than a month, time and again.
JUMPING_CLOCK = """
import itertools, time
from firstwords.cli.main import main
real_time, calls = time.time, itertools.count()
time.time = lambda: real_time() + (0, 40, -40, 80, -80)[next(calls) % 5] * 24 * 3600
main()
"""


def test_a_run_does_not_depend_on_the_clock(bench: Bench, expected: dict[str, str]) -> None:
    arguments = [sys.executable, "-c", JUMPING_CLOCK, *bench.train("jumping")]
    options = {"env": bench.environment, "cwd": bench.cwd, "capture_output": True, "text": True}
    done = subprocess.run(arguments, check=False, timeout=LIMIT_SECONDS, **options)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert fingerprint(bench.directory("jumping")) == expected


# --- compiled code --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A finished run with compiled steps, with its own directory for compiled code."""
    if not shutil.which("g++"):
        pytest.skip("there is no C++ compiler here")
    root = tmp_path_factory.mktemp("compiled")
    bench = Bench(root, pretrain=2, midtrain=2, sft=2, compile=True)
    (root / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(root / "tmp"))
        done = bench.firstwords(*bench.train())
        assert done.returncode == 0, done.stderr
        yield bench


def test_compiled_code_is_stored_in_the_home(compiled: Bench) -> None:
    assert list(compiled.home.rglob("*.so"))


def test_half_written_compiled_code_is_compiled_again(compiled: Bench) -> None:
    """A kill of the compiler leaves a shared object that cannot be opened."""
    newest = max(compiled.root.rglob("*.so"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"")
    again = compiled.firstwords(*compiled.train("again"))
    assert again.returncode == 0, again.stderr
    assert fingerprint(compiled.directory("again")) == fingerprint(compiled.directory("x"))
