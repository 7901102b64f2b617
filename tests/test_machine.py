"""What this process may use: cores and memory, under the limits of containers and shells."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from firstwords import machine


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control group whose files a test writes."""
    monkeypatch.setattr(machine, "_control_groups", lambda controller: iter([tmp_path]))
    return tmp_path


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "max 100000"}, 64),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, 64),
        ({"cpu.cfs_quota_us": "400000", "cpu.cfs_period_us": "100000"}, 4),
        ({}, 64),
    ],
)
def test_a_quota_of_processor_time_bounds_the_cores(
    files: dict[str, str], cores: int, group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty-four threads in a container that may use two cores wait for each other all day."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 64)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: list(range(128)))
    for name, text in files.items():
        (group / name).write_text(text + "\n")
    assert machine.physical_cores() == cores


@pytest.mark.parametrize(
    "names",
    [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")],
)
def test_a_container_bounds_the_memory(names: tuple[str, str], group: Path) -> None:
    used = machine.memory_used()
    free = machine.memory_in_reach() - used
    assert free > 100_000_000
    (group / names[0]).write_text("1000000000\n")
    (group / names[1]).write_text("950000000\n")
    assert machine.memory_in_reach() == pytest.approx(50_000_000 + used, rel=0.1)
    (group / "memory.stat").write_text("anon 1\ninactive_file 30000000\nunevictable 0\n")
    assert machine.memory_in_reach() == pytest.approx(80_000_000 + used, rel=0.1)
    (group / names[0]).write_text("max\n")
    assert machine.memory_in_reach() > 100_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ulimit -v does nothing")
def test_a_limit_of_the_shell_bounds_the_memory() -> None:
    code = "from firstwords import machine; print(machine.memory_in_reach())"
    command = f"ulimit -v 3000000; exec {sys.executable} -c '{code}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert 1e9 < int(done.stdout) < 3.0e9


def test_free_disk_is_asked_where_something_is_yet_to_be_made(tmp_path: Path) -> None:
    assert machine.free_disk(tmp_path / "not" / "yet") == pytest.approx(
        machine.free_disk(tmp_path), rel=0.01
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems keep nothing")
def test_freed_memory_is_kept_until_it_is_handed_back() -> None:
    program = """
import torch
from firstwords import machine
machine.keep_freed_memory()
tensors = [torch.ones(250_000) for _ in range(200)]
del tensors
kept = machine.memory_used()
machine.release_freed_memory()
print(kept - machine.memory_used())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(done.stdout) > 150e6, done.stderr
