"""`firstwords train` from a text file to a chat model, and each command on the result."""

import contextlib
import json
import os
import pickletools
import pty
import random
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from end_to_end import (
    PHASES,
    STAGES,
    Bench,
    final_checkpoint,
    fingerprint,
    metrics,
    moments,
    recipe,
    write_lines,
)
from waiting import LIMIT_SECONDS

from firstwords.cli.main import run_command

SECTIONS = (
    "Samples during training",
    "Training",
    "Held-out text",
    "Time and memory",
    "Model and recipe",
    "Parameters and FLOPs",
    "Tokenizer",
    "Machine",
    "Comparison with a GPU node",
    "Glossary",
)
HUGGING_FACE_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
OWN_FILES = ("optimizer.safetensors", "training.json", "checksums.json")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture(scope="module")
def trained(bench: Bench) -> "subprocess.CompletedProcess[str]":
    """The run x, from nothing to its report."""
    done = bench.firstwords(*bench.train())
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def directory(bench: Bench, trained: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run's directory, with its home set for commands in this process."""
    monkeypatch.setenv("FIRSTWORDS_HOME", str(bench.home))
    monkeypatch.chdir(bench.cwd)
    return bench.directory("x")


# --- train ----------------------------------------------------------------------------------------


def test_train_prints_five_phases_in_order_on_stderr(trained: Any) -> None:
    shown = re.findall(r"^Phase (\d) of 5 · ([A-Za-z ]+?) ─", trained.stderr, re.MULTILINE)
    assert shown == [(str(n), title) for n, title in enumerate(PHASES, 1)]
    assert trained.stdout == ""
    assert "firstwords chat --run x" in trained.stderr


def test_train_writes_a_checkpoint_of_every_stage(directory: Path) -> None:
    sizes = recipe()
    for stage in STAGES:
        checkpoint = final_checkpoint(directory, stage)
        assert int(checkpoint.name) == sizes[stage]["steps"]
        names = {path.name for path in checkpoint.iterdir()}
        assert names == {*HUGGING_FACE_FILES, *OWN_FILES}
        config = json.loads((checkpoint / "config.json").read_text())
        assert config["architectures"] == ["Qwen3ForCausalLM"]


def test_train_writes_a_line_of_metrics_for_every_step(directory: Path) -> None:
    for stage in STAGES:
        steps = [line["step"] for line in metrics(directory, stage)]
        assert steps == list(range(1, recipe()[stage]["steps"] + 1))


def test_pretraining_lowers_the_loss(directory: Path) -> None:
    losses = [line["loss"] for line in metrics(directory, "pretrain")]
    assert sum(losses[-5:]) / 5 < losses[0] - 0.5


def test_train_writes_the_report_and_copies_it_to_the_current_directory(
    bench: Bench, directory: Path
) -> None:
    report = (directory / "report.md").read_text(encoding="utf-8")
    assert (bench.cwd / "report.md").read_text(encoding="utf-8") == report
    assert re.findall(r"^## (.*)$", report, re.MULTILINE) == list(SECTIONS)
    assert (bench.cwd / "report.html").read_bytes() == (directory / "report.html").read_bytes()
    assert re.search(r"\| \*\*all\*\* \| \d+:\d\d \|.*\d MB \|", report)  # time and peak memory


def test_the_report_has_the_parameters_of_a_run_with_a_recipe(directory: Path) -> None:
    assert "of 0.00M parameters" not in (directory / "report.md").read_text(encoding="utf-8")


def test_run_json_has_sources_and_recipe(bench: Bench, directory: Path) -> None:
    manifest = json.loads((directory / "run.json").read_text())
    assert manifest["sources"] == {"data": str(bench.text), "chat_data": str(bench.chat)}
    assert manifest["recipe"]["pretrain"]["steps"] == recipe()["pretrain"]["steps"]
    assert manifest["recipe"]["seed"] == 0


def test_nothing_in_a_run_is_a_pickle(bench: Bench, trained: Any) -> None:
    files = [path for path in bench.home.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.suffix not in (".pkl", ".pickle", ".pt", ".pth", ".bin"), path
        content = path.read_bytes()
        assert not content.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x80\x05")), path
        with contextlib.suppress(Exception):  # anything else does not parse to its end
            list(pickletools.genops(content))
            pytest.fail(f"{path} is a pickle")


def test_nothing_in_the_source_unpickles() -> None:
    import firstwords

    for path in Path(firstwords.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found = re.search(r"import pickle|torch\.(load|save)\(|allow_pickle=True", text)
        assert not found, f"{path}: {found and found[0]}"


def test_running_train_again_repeats_nothing(bench: Bench, directory: Path) -> None:
    before, prints = moments(directory), fingerprint(directory)
    again = bench.firstwords(*bench.train())
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("already done: ") == len(PHASES)
    assert moments(directory) == before
    assert fingerprint(directory) == prints


def test_a_finished_run_is_opened_by_its_name_alone(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = moments(directory)
    assert run_command(["train", "--run", "x"]) == 0
    assert capsys.readouterr().err.count("already done: ") == len(PHASES)
    assert moments(directory) == before


def test_other_options_leave_a_finished_run_untouched(
    bench: Bench, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def times() -> dict[Path, int]:
        files = (path for path in directory.rglob("*") if path.name != "lock")  # says since when
        return {path: path.stat().st_mtime_ns for path in files}

    before = times()
    assert run_command([*bench.train(), "--seed", "5"]) == 2
    assert "--seed" in capsys.readouterr().err
    assert times() == before


def test_report_writes_a_deleted_report_again(bench: Bench, directory: Path) -> None:
    whole = (directory / "report.md").read_bytes()
    (directory / "report.md").unlink()
    (bench.cwd / "report.md").unlink()
    assert run_command(["report"]) == 0
    assert (directory / "report.md").read_bytes() == whole
    assert (bench.cwd / "report.md").read_bytes() == whole


# --- plan, eval, chat -----------------------------------------------------------------------------


def test_plan_prints_one_json_document_and_writes_nothing(
    bench: Bench, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = bench.train(command="plan")
    before = moments(directory), sorted(directory.parent.iterdir())
    assert run_command([*arguments[: arguments.index("--run")], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["recipe"]["model"]["n_layer"] == 2
    assert "predicted" in document
    assert (moments(directory), sorted(directory.parent.iterdir())) == before


@pytest.mark.slow
def test_plan_of_a_time_predicts_it(bench: Bench) -> None:
    sources = ["--data", str(bench.text), "--chat-data", str(bench.chat)]
    done = bench.firstwords("plan", "--time", "90s", *sources, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["predicted"]["tokens_per_second"] > 0
    assert document["recipe"]["pretrain"]["steps"] > 0
    assert document["predicted"]["total_seconds"] <= 99


def test_eval_prints_one_json_document(bench: Bench, trained: Any) -> None:
    done = bench.firstwords("eval", "--run", "x", "--stage", "pretrain", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["run"], document["stage"]) == ("x", "pretrain")
    task = document["tasks"]["bits_per_byte"]
    low, high = task["ci95"]
    assert low <= task["score"] <= high
    assert task["chance"] == 8
    assert task["n"] > 0
    kept = json.loads((bench.directory("x") / "evaluation" / "pretrain.json").read_text())
    assert task == kept["tasks"]["bits_per_byte"]


def test_eval_uses_the_latest_stage_and_at_most_max_items(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["eval", "--max-items", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["stage"] == "sft"
    assert document["tasks"]["bits_per_byte"]["n"] == 2
    assert run_command(["eval", "--max-items", "2", "--stage", "all", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [stage["stage"] for stage in document["stages"]] == ["pretrain", "midtrain", "sft"]


def test_chat_with_a_prompt_prints_the_answer_and_nothing_else(
    bench: Bench, directory: Path
) -> None:
    from firstwords.inference.chat import Chat
    from firstwords.inference.decoder import Decoder
    from firstwords.inference.engine import Engine
    from firstwords.inference.sampling import Sampling
    from firstwords.model import hf_format
    from firstwords.tokenizer.bpe import Tokenizer

    done = bench.firstwords("chat", "-p", "What is a lion?", "--max-tokens", "20")
    assert done.returncode == 0, done.stderr
    checkpoint = final_checkpoint(directory, "sft")
    chat = Chat(
        Engine(Decoder(hf_format.load_model(checkpoint), 1)),
        Tokenizer.load(checkpoint / "tokenizer.json"),
        Sampling(max_tokens=20),
    )
    expected = "".join(e.text for e in chat.send("What is a lion?") if e.kind == "text")
    assert done.stdout == expected + "\n"
    assert done.stderr == ""


def test_chat_answers_lines_from_a_pipe(bench: Bench, trained: Any) -> None:
    done = bench.firstwords(
        "chat", "--seed", "1", "--max-tokens", "5", input="Hello there\n\nHow are you?\n"
    )
    assert done.returncode == 0, done.stderr
    assert "x, sft, step 12" in done.stderr
    assert done.stdout.count("\n") >= 2
    assert "Hello there" not in done.stdout


def test_chat_in_a_terminal_survives_ctrl_c_and_exits_at_ctrl_d(bench: Bench, trained: Any) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "firstwords", "chat", "--max-tokens", "8"],
        env={**bench.environment, "TERM": "dumb"},
        cwd=bench.cwd,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(terminal)
    try:
        screen = Screen(controller)
        screen.wait_for("> ")
        screen.press_until(b"\x03", "> ")
        os.write(controller, b"Hello there\n")
        screen.wait_for("Hello there\n")
        screen.wait_for("\n> ")
        os.write(controller, b"\x04")
        assert process.wait(LIMIT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def _take_terminal() -> None:
    """Make standard input the controlling terminal of this session."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Screen:
    """What a program writes to its terminal, read in order."""

    def __init__(self, controller: int) -> None:
        self._controller, self._unread = controller, ""

    def press_until(self, key: bytes, mark: str) -> None:
        """Press a key until the answer has `mark`: a program may not be reading yet."""
        deadline = time.monotonic() + LIMIT_SECONDS
        os.write(self._controller, key)
        while not self._read_to(mark, pause_seconds=1):
            assert time.monotonic() < deadline, f"no {mark!r} in {self._unread!r}"
            os.write(self._controller, key)

    def wait_for(self, mark: str) -> None:
        assert self._read_to(mark, LIMIT_SECONDS), f"no {mark!r} in {self._unread!r}"

    def _read_to(self, mark: str, pause_seconds: float) -> bool:
        """Read up to the next `mark`. Returns False if nothing came for so long."""
        while mark not in self._unread:
            if not select.select([self._controller], [], [], pause_seconds)[0]:
                return False
            new = os.read(self._controller, 4096).decode(errors="replace")
            self._unread += new.replace("\r", "")
        self._unread = self._unread.split(mark, 1)[1]
        return True


# --- other ways to the same run -------------------------------------------------------------------


@pytest.mark.slow
def test_stage_by_stage_gives_the_same_bytes(bench: Bench, directory: Path) -> None:
    report = bench.cwd / "report.md"
    report.unlink()
    first = bench.firstwords(*bench.train(run="steps", command="tokenizer"))
    assert first.returncode == 0, first.stderr
    for command in ("pretrain", "midtrain", "sft", "report"):
        done = bench.firstwords(command, "--run", "steps")
        assert done.returncode == 0, done.stderr
    assert fingerprint(bench.directory("steps")) == fingerprint(directory)
    assert report.read_text().startswith("# Firstwords report: steps")


@pytest.mark.slow
def test_a_run_json_as_recipe_repeats_the_run(bench: Bench, directory: Path) -> None:
    done = bench.firstwords("train", "--recipe", str(directory / "run.json"), "--run", "again")
    assert done.returncode == 0, done.stderr
    assert fingerprint(bench.directory("again")) == fingerprint(directory)


def test_a_seed_given_with_a_recipe_must_be_given_again_to_resume(bench: Bench) -> None:
    command = [*bench.train("seeded", command="tokenizer"), "--seed", "5"]
    assert run_command(command) == 0
    assert run_command(command) == 0
    assert run_command([*command[:-1], "6"]) == 2


@pytest.mark.slow
def test_another_seed_gives_other_weights(bench: Bench, directory: Path) -> None:
    arguments = ["--recipe", str(directory / "run.json"), "--seed", "1", "--run", "other"]
    done = bench.firstwords("train", *arguments)
    assert done.returncode == 0, done.stderr
    same, other = fingerprint(directory), fingerprint(bench.directory("other"))
    for stage in STAGES:
        assert same[f"{stage}/model.safetensors"] != other[f"{stage}/model.safetensors"]


# --- the machine ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_starter_needs_no_network(bench: Bench) -> None:
    unshare = [shutil.which("unshare") or "unshare", "-n"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot make a network namespace here ({error})")
    code = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    offline = subprocess.run([*unshare, sys.executable, "-c", code], capture_output=True, text=True)
    assert "unreachable" in offline.stderr, "the namespace has an interface"
    arguments = ["train", "--recipe", str(bench.recipe), "--run", "offline"]
    done = subprocess.run(
        [*unshare, sys.executable, "-m", "firstwords", *arguments],
        env=bench.environment,
        cwd=bench.cwd,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert len(fingerprint(bench.directory("offline"))) > 0


@pytest.mark.slow
def test_a_corpus_of_300_megabytes_is_streamed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, tokenizer_bytes=40_000_000, val_bytes=200_000)
    write_large_text(bench.text, 300_000_000)
    started = bench.start(*bench.train())
    seen, process = 0, psutil.Process(started.process.pid)
    while started.process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            seen = max(seen, process.memory_info().rss)
        time.sleep(0.05)
    assert started.process.returncode == 0, started.stderr
    timings = json.loads((bench.directory("x") / "timings.json").read_text())
    reported = max(timing["peak_memory"] for timing in timings.values())
    assert reported < 1.2e9
    assert reported == pytest.approx(seen, rel=0.2)  # a peak may fall between two samples


def write_large_text(path: Path, n_bytes: int) -> None:
    """Write words with the frequencies of a real language, to give the tokenizer as much work."""
    rng = random.Random(1)
    letters = "abcdefghijklmnopqrst"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(200_000)]
    ranks = [1 / (rank + 10) for rank in range(len(words))]
    chosen = rng.choices(words, weights=ranks, k=2_000_000)
    lines = [" ".join(chosen[at : at + 12]) for at in range(0, len(chosen), 12)]
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < n_bytes:
            rng.shuffle(lines)
            file.write("\n\n".join(lines) + "\n\n")


# --- benchmarks -----------------------------------------------------------------------------------

HOT = {
    "question": "What is hot?",
    "choices": {"label": ["A", "B"], "text": ["ice", "fire"]},
    "answerKey": "B",
}


@pytest.mark.slow
def test_train_runs_the_fetched_benchmarks_and_survives_one_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, pretrain=4, midtrain=2, sft=2, benchmark_items=2)
    (bench.home / "eval").mkdir(parents=True)
    write_lines(bench.home / "eval" / "arc_easy_test.jsonl", [HOT] * 5)
    write_lines(bench.home / "eval" / "arc_challenge_test.jsonl", [{"question": "no choices"}])
    done = bench.firstwords(*bench.train())
    assert done.returncode == 0, done.stderr
    assert "skipping arc_challenge, which failed" in done.stderr
    report = (bench.directory("x") / "report.md").read_text(encoding="utf-8")
    shown = report.split("## Benchmarks")[1].split("## ")[0]
    row = next(line for line in shown.splitlines() if line.startswith("| ARC-Easy"))
    assert row.count("(") == 3
    assert "failed" in shown
    assert "no data" in shown
    for stage in STAGES:
        kept = json.loads((bench.directory("x") / "evaluation" / f"{stage}.json").read_text())
        assert kept["tasks"]["arc_easy"]["n"] == 2
        assert kept["tasks"]["arc_challenge"]["error"].startswith("KeyError")
        records = (bench.directory("x") / "evaluation" / f"{stage}.arc_easy.jsonl").read_text()
        assert len(records.splitlines()) == 2
    monkeypatch.setenv("FIRSTWORDS_HOME", str(bench.home))
    capsys.readouterr()
    assert run_command(["eval", "--tasks", "arc_easy", "--stage", "all", "--max-items", "0"]) == 0
    title, score, chat_core = capsys.readouterr().out.splitlines()
    assert title.split() == ["x", "pretrain", "midtrain", "sft", "chance"]
    assert score.startswith("ARC-Easy")
    assert score.endswith("50%")
    assert chat_core.startswith("ChatCORE (1 of 5 tasks)")
    assert run_command(["eval", "--tasks", "mmlu"]) == 2
    assert "no data for mmlu" in capsys.readouterr().err
    assert run_command(["eval", "--tasks", "mmlu", "--eval-data", str(tmp_path / "nowhere")]) == 2
    assert "is not a directory" in capsys.readouterr().err


# --- reinforcement learning -----------------------------------------------------------------------


def test_rl_makes_a_new_run_with_one_more_stage(
    bench: Bench, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = fingerprint(directory)
    reward = bench.root / "short.py"
    reward.write_text("def reward(conversation, answer):\n    return -len(answer)\n")
    sizes = ("rl.batch_size=10", "rl.group_size=4", "rl.sft_rows=2", "rl.max_answer_tokens=8")
    command = ["rl", "--from", "x", "--reward", str(reward), "--time", "1s"]
    command += [part for size in sizes for part in ("--set", size)]
    assert run_command(command) == 0
    assert "Phase 5 of 6 · Reinforcement learning" in capsys.readouterr().err
    run = bench.directory("x-short")
    steps = [line["step"] for line in metrics(run, "rl")]
    assert steps == list(range(1, max(10, len(steps)) + 1))
    assert int(final_checkpoint(run, "rl").name) == len(steps)
    assert json.loads((run / "evaluation" / "rl.json").read_text())["stage"] == "rl"
    assert "## Reinforcement learning" in (run / "report.md").read_text()
    assert fingerprint(directory) == before
    assert run_command(command) == 0
    assert capsys.readouterr().err.count("already done: ") == 6
    assert run_command([*command, "--set", "rl.group_size=2"]) == 2
    assert "--set differs from that of run x-short" in capsys.readouterr().err
    assert run_command(["rl", "--run", "x"]) == 2
    assert "run x has no stage rl; start one from its model: firstwords rl --from x" in (
        capsys.readouterr().err
    )
    assert run_command(["rl", "--from", "x", "--run", "y"]) == 2  # no rules for other questions
    assert "write a reward and name it: firstwords rl --reward FILE" in capsys.readouterr().err
    assert run_command(["rl", "--from", "x", "--run", "y", "--time", "0s"]) == 2
    assert "--time 0s is too short; use at least 1s" in capsys.readouterr().err
    assert not (bench.directory("y") / "run.json").exists()
