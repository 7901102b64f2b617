"""The `firstwords` command as a user starts it, on runs small enough to take seconds."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeAlias

import warm_start
from factories import with_changes
from waiting import LIMIT_SECONDS, wait_until

from firstwords.kernels import build

Process: TypeAlias = "warm_start.WarmProcess | subprocess.Popen[bytes]"
STAGES = ("pretrain", "midtrain", "sft")
PHASES = (
    "Tokenizer",
    "Pretraining",
    "Midtraining",
    "Supervised finetuning",
    "Evaluation",
)
COMMANDS = ("train", "tokenizer", "pretrain", "midtrain", "sft", "plan", "eval", "report", "chat")

# Checkpoints come every 30 s, longer than these runs take; this entry point is more careful. It
# does not draw the report's plots, which would take half of such a run's time.
CAREFUL = """
from firstwords.cli.main import main
from firstwords.report import plots
from firstwords.training import checkpoint
plots.render_svg = lambda draw: "<svg></svg>"
checkpoint.CHECKPOINT_SECONDS = {seconds}
checkpoint.WRITE_FRACTION = float("inf")
main()
"""


def recipe(pretrain: int = 30, midtrain: int = 20, sft: int = 12, **changes: Any) -> dict[str, Any]:
    """A recipe of so many steps; a change like `model__n_layer=3` reaches into it."""
    stage = {"batch_size": 4, "micro_batch_size": 2, "seq_len": 64, "warmup_steps": 2}
    document: dict[str, Any] = {
        "n_threads": 1,
        "tokenizer_bytes": 200_000,
        "model": {
            "vocab_size": 400,
            "n_layer": 2,
            "n_embd": 32,
            "n_head": 2,
            "n_kv_head": 1,
            "head_dim": 16,
            "n_hidden": 64,
            "max_seq_len": 64,
        },
        "pretrain": {"steps": pretrain, **stage},
        "midtrain": {"steps": midtrain, **stage},
        "sft": {"steps": sft, **stage},
        "val_bytes": 5000,
    }
    return with_changes(document, **changes)


def write_lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def talk(question: str, answer: str) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


class Bench:
    """A home for runs, data, a recipe, and a directory to stand in."""

    def __init__(self, root: Path, home: Path | None = None, **steps: Any) -> None:
        self.root, self.home = root, home or root / "home"
        self.cwd = root / "cwd"
        self.cwd.mkdir(parents=True)
        self.recipe, self.text = root / "recipe.json", root / "text.txt"
        self.chat = root / "chat.jsonl"
        self.recipe.write_text(json.dumps(recipe(**steps)), encoding="utf-8")
        rng = random.Random(0)
        words = ["".join(rng.choices("aeioulnrstk", k=rng.randint(2, 7))) for _ in range(300)]

        def sentence() -> str:
            return " ".join(rng.choices(words, k=8)).capitalize() + "."

        documents = ["\n\n".join(sentence() for _ in range(9)) for _ in range(300)]
        self.text.write_text("\n<|endoftext|>\n".join(documents), encoding="utf-8")
        write_lines(
            self.chat,
            [talk(f"What is {w}?", f"It is {sentence()}") for w in rng.choices(words, k=300)],
        )

    def directory(self, run: str) -> Path:
        return self.home / "runs" / run

    def train(self, run: str = "x", command: str = "train") -> list[str]:
        """The arguments that start a run, or go on with it."""
        sources = ["--data", str(self.text), "--chat-data", str(self.chat)]
        return [command, "--recipe", str(self.recipe), *sources, "--run", run]

    def share_step(self) -> None:
        """Let commands find the decoding step compiled, which takes two seconds."""
        if code := build.decode_library():
            compiled = self.home / "compiled" / Path(code._name).name
            compiled.parent.mkdir(parents=True, exist_ok=True)
            if not compiled.exists() and Path(code._name).exists():
                shutil.copy(code._name, compiled)

    @property
    def environment(self) -> dict[str, str]:
        self.share_step()
        variables = {**os.environ, "FIRSTWORDS_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        variables.pop("TORCHINDUCTOR_CACHE_DIR", None)  # a command in this process may have set it
        return variables

    def firstwords(
        self, *arguments: str, careful: float | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end; `careful` is the seconds between two checkpoints. Python
        starts anew if there are options of `subprocess.run`."""
        if not options:
            return self._run(arguments, careful)
        options = {
            "capture_output": True,
            "text": True,
            "timeout": LIMIT_SECONDS,
            "cwd": self.cwd,
        } | options
        command = [sys.executable, "-c", _code(careful), *arguments]
        return subprocess.run(command, env=self.environment, check=False, **options)

    def _run(
        self, arguments: tuple[str, ...], careful: float | None
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            process = self._start(arguments, careful, stdout, stderr)
            code = process.wait(LIMIT_SECONDS)
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(arguments, code, stdout.read(), stderr.read())

    def _start(
        self, arguments: tuple[str, ...], careful: float | None, *output: IO[str]
    ) -> Process:
        descriptors = [file.fileno() for file in output]
        code, environment = _code(careful), self.environment
        return warm_start.start(code, list(arguments), environment, self.cwd, descriptors)

    def start(self, *arguments: str, careful: float | None = None) -> "Started":
        log = self.root / "stderr.txt"
        with log.open("w") as stderr, Path(os.devnull).open("w") as stdout:
            return Started(self._start(arguments, careful, stdout, stderr), log)


def _code(careful: float | None) -> str:
    return "import firstwords.__main__" if careful is None else CAREFUL.format(seconds=careful)


class Started:
    """A command that is running."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process, self.log = process, log

    @property
    def stderr(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def phase(self) -> int:
        """The number of the phase it is in; 0 before the first."""
        return max((n for n in range(1, 6) if f"Phase {n} of 5" in self.stderr), default=0)


def wait_for(started: Started, happened: Callable[[], object]) -> None:
    def still_running() -> None:
        assert started.running, f"ended with {started.process.returncode}: {started.stderr}"

    wait_until(happened, still_running, interval_seconds=0.002)


def final_checkpoint(directory: Path, stage: str) -> Path:
    return max((directory / "checkpoints" / stage).glob("[0-9]*"))


def fingerprint(directory: Path) -> dict[str, str]:
    """A hash of everything in a run that must not depend on how often it was interrupted."""
    names = ["tokenizer/tokenizer.json", "tokenizer/stats.json"]
    names += [f"evaluation/{stage}.json" for stage in STAGES]
    paths = {name: directory / name for name in names}
    for stage in STAGES:
        for name in ("model.safetensors", "optimizer.safetensors"):
            paths[f"{stage}/{name}"] = final_checkpoint(directory, stage) / name
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}
    for stage in STAGES:
        lines = metrics(directory, stage)
        hashes[f"metrics of {stage}"] = str([(m["step"], m["loss"], m["lr"]) for m in lines])
    return hashes


def metrics(directory: Path, stage: str) -> list[dict[str, float]]:
    text = (directory / "metrics" / f"{stage}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def moments(directory: Path) -> dict[str, int]:
    """When each file was made that a later start has no reason to make again."""
    kinds = ("tokenizer/*", "tokens/*/*/complete.json", "evaluation/*.json", "run.json")
    if not (directory / "tokenizer" / "stats.json").exists():  # the last file of its phase
        kinds = kinds[1:]
    paths = [path for kind in kinds for path in directory.glob(kind)]
    paths = [path for path in paths if not path.name.startswith(".")]  # left by a killed writer
    paths = [path for path in paths if not path.name.endswith(".part.json")]  # to go into another
    for stage in STAGES:
        paths += directory.glob(f"checkpoints/{stage}/[0-9]*/*.safetensors")
    return {str(path.relative_to(directory)): path.stat().st_mtime_ns for path in paths}


def one_line(stderr: str) -> str:
    """The error, and that nothing else but the usual progress stands around it."""
    assert "Traceback" not in stderr, stderr
    errors = [line for line in stderr.splitlines() if line.startswith("firstwords: ")]
    assert len(errors) == 1, stderr
    assert stderr.rstrip().endswith(errors[0]), stderr
    return errors[0]
