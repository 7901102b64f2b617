"""Commands that only read files start fast: they do not import torch, which takes seconds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench
from end_to_end import recipe as make_recipe
from waiting import LIMIT_SECONDS

CODE = """
import sys
from firstwords.cli.main import run_command
code = run_command(sys.argv[1:])
assert code == 0, code
assert "torch" not in sys.modules
"""

SITE = """
[run]
name = "x"
time = "1m"
[job]
cpus_per_node = 1
time_limit = "2m"
save_time = "1m"
[paths]
python = "/usr/bin/python3"
home = "{home}"
"""


def write_run(directory: Path) -> None:
    """Write a run whose pretraining has taken one step."""
    manifest: dict[str, Any] = {
        "firstwords": "0.1.0",
        "created": "2030-01-01T00:00:00+00:00",
        "time": 60.0,
        "sources": {"data": "starter", "chat_data": "starter"},
        "recipe": make_recipe(),
        "machine": {},
        "predicted": {},
    }
    (directory / "metrics").mkdir(parents=True)
    (directory / "run.json").write_text(json.dumps(manifest))
    step = {"step": 1, "loss": 5.0, "lr": 0.1, "seconds": 0.5}
    (directory / "metrics" / "pretrain.jsonl").write_text(json.dumps(step) + "\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["slurm", "init", "new.toml"],
        ["slurm", "render", "--site", "site.toml"],
        ["slurm", "status", "--site", "site.toml"],
        ["runs"],
        ["runs", "show", "x"],
        ["data", "list"],
        ["data", "list", "--json"],
        ["data", "verify"],
        ["data", "show", "starter"],
    ],
    ids=" ".join,
)
def test_command_imports_no_torch(arguments: list[str], tmp_path: Path, home: Path) -> None:
    bench = Bench(tmp_path, home)
    write_run(bench.directory("x"))
    (bench.cwd / "site.toml").write_text(SITE.format(home=home))
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        cwd=bench.cwd,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_run_modules_import_no_torch() -> None:
    """What `serve` and `slurm status` need to follow a run."""
    code = (
        "import sys\n"
        "from firstwords.runs import checkpoints, curves, manifest, metrics, phases, registry, "
        "run, status, summary\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_preparing_torch_imports_no_compiler() -> None:
    """That would take as long as importing torch, in each command."""
    code = (
        "import sys, torch\n"
        "from firstwords.common.devices import configure_torch\n"
        "configure_torch(1)\n"
        "assert torch.are_deterministic_algorithms_enabled()\n"
        "assert 'torch._inductor' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
