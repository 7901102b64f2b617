"""What this process may use: cores and memory, under the limits of containers and shells."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from firstwords.common import cgroups, hardware, paths
from firstwords.common.memory import available_memory, used_memory


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control group whose files the test writes."""
    monkeypatch.setattr(cgroups, "control_groups", lambda controller: iter([tmp_path]))
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
def test_a_cpu_quota_limits_the_cores(
    files: dict[str, str], cores: int, group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads beyond the quota would wait for each other."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 64)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: list(range(128)))
    for name, text in files.items():
        (group / name).write_text(text + "\n")
    assert hardware.physical_cores() == cores


@pytest.mark.parametrize(
    "names",
    [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")],
)
def test_a_container_limits_the_memory(names: tuple[str, str], group: Path) -> None:
    used = used_memory()
    free = available_memory() - used
    assert free > 100_000_000
    (group / names[0]).write_text("1000000000\n")
    (group / names[1]).write_text("950000000\n")
    assert available_memory() == pytest.approx(50_000_000 + used, rel=0.1)
    (group / "memory.stat").write_text("anon 1\ninactive_file 30000000\nunevictable 0\n")
    assert available_memory() == pytest.approx(80_000_000 + used, rel=0.1)
    (group / names[0]).write_text("max\n")
    assert available_memory() > 100_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v has no effect elsewhere")
def test_ulimit_limits_the_memory() -> None:
    code = "from firstwords.common.memory import available_memory; print(available_memory())"
    command = f"ulimit -v 3000000; exec {sys.executable} -c '{code}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert 1e9 < int(done.stdout) < 3.0e9


def test_free_disk_of_a_directory_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert paths.free_disk(tmp_path / "not" / "yet") == pytest.approx(
        paths.free_disk(tmp_path), rel=0.01
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc keeps freed memory")
def test_freed_memory_is_kept_until_it_is_released() -> None:
    program = """
import torch
from firstwords.common import memory
memory.keep_freed_memory()
tensors = [torch.ones(250_000) for _ in range(200)]
del tensors
kept = memory.used_memory()
memory.release_freed_memory()
print(kept - memory.used_memory())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(done.stdout) > 150e6, done.stderr
