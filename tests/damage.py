"""Every file of a run, damaged in every way: the states, the damages and the commands to try."""

import contextlib
import hashlib
import io
import os
import random
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from end_to_end import Bench, final_checkpoint
from fastapi.testclient import TestClient
from matplotlib.figure import Figure

from firstwords.cli import main
from firstwords.common.errors import UserError
from firstwords.data import token_store
from firstwords.training import checkpoint, stages

STEPS = {"pretrain": 8, "midtrain": 5, "sft": 4}
STOPPED_AT = 5  # of the steps of pretraining, in the state "pretraining"
# Of several files that are alike, only these are damaged.
SKIPPED = re.compile(
    r"lock$|checkpoints/midtrain/|checkpoints/sft/0000003|metrics/midtrain|evaluation/midtrain"
    r"|samples/(?!pretrain-0000000|sft-0000004)|tokens/text/val/00000/(mask|lengths|text_bytes)"
    r"|tokens/chat/val/|tokens/chat/train/00000/(mask|text_bytes)|tensorboard/(midtrain|sft)"
    r"|(checkpoints/(pretrain|sft)/.*/|/)(tokenizer_config|generation_config|chat_template)"
)


class Tried(NamedTuple):
    """What a command did: its exit code (None for a traceback), and all that it printed."""

    code: int | None
    printed: str


# --- damages --------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_garbage(path: Path) -> None:
    path.write_bytes(random.Random(path.name).randbytes(max(1, path.stat().st_size)))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    rng = random.Random(path.name)
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def delete(path: Path) -> None:
    path.unlink()


def replace_with_directory(path: Path) -> None:
    path.unlink()
    (path / "folder").mkdir(parents=True)


DAMAGES: dict[str, Callable[[Path], None]] = {
    function.__name__: function
    for function in (truncate, empty, fill_with_garbage, flip_a_bit, delete, replace_with_directory)
}


# --- states ---------------------------------------------------------------------------------------


def make_states(root: Path, patch: pytest.MonkeyPatch) -> tuple[Bench, dict[str, Path]]:
    """Return a home, and a run in each state: in pretraining, between stages, finished."""
    bench = Bench(root, **STEPS, exam_items=1)
    patch.setenv("FIRSTWORDS_HOME", str(bench.home))
    patch.setattr(os, "fsync", lambda descriptor: None)
    patch.setattr(checkpoint, "CHECKPOINT_SECONDS", -1.0)
    patch.setattr(checkpoint, "WRITE_FRACTION", float("inf"))
    patch.setattr(token_store, "BATCH_DOCUMENTS", 16)
    # Plots are drawn, but writing their SVG would take most of the time.
    patch.setattr(Figure, "savefig", lambda figure, file, **options: file.write("<svg></svg>"))
    patch.chdir(bench.cwd)
    bench.share_step()
    take_steps = stages.train

    def interrupted(*arguments: Any) -> Iterator[Any]:
        for step in take_steps(*arguments):
            if step.step == STOPPED_AT:
                signal.raise_signal(signal.SIGINT)
            yield step

    def do(arguments: list[str], expected: int = 0) -> None:
        tried = run_command(arguments)
        assert tried.code == expected, tried.printed

    with pytest.MonkeyPatch.context() as stopping:
        stopping.setattr(stages, "train", interrupted)
        do(train(bench, "state"), 130)
    states = {}

    def keep(state: str) -> None:
        states[state] = Path(shutil.copytree(bench.directory("state"), root / "states" / state))

    keep("pretraining")
    do(["pretrain", "--run", "state"])
    keep("between")
    do(train(bench, "state"))
    keep("finished")
    shutil.rmtree(bench.directory("state"))
    return bench, states


def train(bench: Bench, run: str) -> list[str]:
    """The arguments that resume a run on the user's own text and the starter conversations."""
    arguments = ["train", "--recipe", str(bench.recipe), "--data", str(bench.text)]
    return [*arguments, "--chat-data", "starter", "--run", run]


def damaged_files(state: Path) -> list[str]:
    """Return the files of a run to damage, without those of which another is like them."""
    names = [path.relative_to(state).as_posix() for path in state.rglob("*") if path.is_file()]
    return sorted(name for name in names if not SKIPPED.search(name))


# --- commands -------------------------------------------------------------------------------------

COMMANDS = ("train", "chat", "serve", "eval", "report", "export", "status")


def try_command(bench: Bench, command: str, run: str) -> Tried:
    """Run a command on a run, in this process."""
    out = bench.root / "out"
    arguments = {
        "train": train(bench, run),
        "chat": ["chat", "--run", run, "-p", "Hello", "--max-tokens", "3"],
        "eval": ["eval", "--run", run, "--max-items", "2", "--json"],
        "report": ["report", "--run", run],
        "export": ["export", "--run", run, "--format", "hf", "--out", str(out)],
    }
    if command in arguments:
        return run_command(arguments[command])
    return run_command([run], {"serve": serve, "status": status}[command])


def run_command(
    arguments: list[str], command: Callable[[list[str]], int] = main.run_command
) -> Tried:
    printed = io.StringIO()
    code: int | None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = command(arguments)
        except UserError as error:
            print(f"firstwords: {error}", file=sys.stderr)
            code = error.exit_code
        except Exception:
            traceback.print_exc()
            code = None
    return Tried(code, printed.getvalue())


def serve(arguments: list[str]) -> int:
    """Do what a client of the server does: list the models and the runs, follow one, chat."""
    from firstwords.serve import server
    from firstwords.serve.app import ServerLimits, create_app

    (run,) = arguments
    find_runs = server.run_finder((run,))
    options = server.ServeOptions("127.0.0.1", 0, (run,), 1, 1, 60.0, None, ())
    app = create_app(server.open_models(find_runs, options), ServerLimits(), find_runs)
    with TestClient(app) as client:
        models = client.get("/v1/models").json()["data"]
        assert client.get("/v1/runs").status_code == 200
        progress = client.get(f"/v1/runs/{run}")
        assert progress.status_code == 200, progress.text
        if models:
            messages = [{"role": "user", "content": "Hello"}]
            body = {"messages": messages, "max_tokens": 3}
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
    return 0


def status(arguments: list[str]) -> int:
    """Do what `firstwords slurm status` shows of a run."""
    from firstwords.slurm.status import run_lines

    print("\n".join(run_lines(SimpleNamespace(name=arguments[0]))))  # type: ignore[arg-type]
    return 0


# --- verdicts -------------------------------------------------------------------------------------


def complaint(tried: Tried) -> str | None:
    """Return what is wrong with the outcome of a command, or None."""
    if tried.code is None or "Traceback" in tried.printed:
        return f"traceback: {tried.printed.strip().splitlines()[-1]}"
    if tried.code not in (0, 2):
        return f"exit code {tried.code}: {tried.printed}"
    errors = [line for line in tried.printed.splitlines() if line.startswith("firstwords: ")]
    if tried.code == 2 and (len(errors) != 1 or "; " not in errors[0]):
        return f"not one line of problem and hint: {tried.printed}"
    return None


def model_sum(run: Path) -> str:
    """Return a hash of the weights that the run ends with."""
    return hashlib.sha256(
        (final_checkpoint(run, "sft") / "model.safetensors").read_bytes()
    ).hexdigest()
