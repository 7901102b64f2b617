"""What this process may use: cores and memory, under the limits of containers and shells."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from firstwords.common import cgroups, hardware, paths
from firstwords.common.errors import UserError
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
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "250000 100000"}, 3),
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
    monkeypatch.setattr(hardware, "PROCESSORS", group / "none")
    for name, text in files.items():
        (group / name).write_text(text + "\n")
    assert hardware.physical_cores() == cores


@pytest.mark.parametrize(
    ("allowed", "cores"),
    [([3, 11], 1), ([0, 1, 2, 3], 4), ([0, 1, 8, 9], 2), (list(range(16)), 8), ([15], 1)],
)
@pytest.mark.parametrize("file", ["core_cpus_list", "thread_siblings_list"])
def test_threads_of_one_core_count_once(
    allowed: list[int], cores: int, file: str, group: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight cores of two threads each, of which `taskset` or Slurm allows some."""
    for processor in range(16):
        topology = group / f"cpu{processor}" / "topology"
        topology.mkdir(parents=True)
        (topology / file).write_text(f"{processor % 8},{processor % 8 + 8}\n")
    monkeypatch.setattr(hardware, "PROCESSORS", group)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: allowed)
    assert hardware.physical_cores() == cores


def test_a_user_who_is_only_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as one that has neither $HOME nor an entry in the list of users."""
    import pwd

    def no_entry(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    assert hardware.has_user_name()
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    assert not hardware.has_user_name()
    assert paths.home().name == "home"
    monkeypatch.delenv("FIRSTWORDS_HOME")
    with pytest.raises(UserError, match="set FIRSTWORDS_HOME"):
        paths.home()


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
