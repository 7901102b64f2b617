"""This machine: what it is, what it can do, and the settings that follow.

Nothing is chosen by the machine's name: the dtype is the one whose matrix products are faster here.
"""

import ctypes
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch
from platformdirs import user_cache_path

from firstwords.recipe import Device

THREADS_RESERVE = 300_000_000  # bytes of address space, used or not, for threads still to start
MATMUL_SHAPE = (4096, 256, 1024)  # tokens x channels x hidden of a typical small model


def home() -> Path:
    """$FIRSTWORDS_HOME, or the platform's cache directory."""
    chosen = os.environ.get("FIRSTWORDS_HOME")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("firstwords")


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks instead of handing them back to the kernel.

    By default every activation of more than 32 MB is mapped anew and page-faulted in at each step:
    whole training steps run 1.4 to 1.65 times faster without that (docs/lab-notebook.md). Other C
    libraries have no such setting, and need none.
    """
    if libc := _glibc():
        m_trim_threshold, m_mmap_max = -1, -4
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def release_freed_memory() -> None:
    """Hand it back after all, once: what a phase of a run needed comes in other sizes than what
    the next one needs, and beside it would be held in vain."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt, libc.malloc_trim  # noqa: B018
    except (OSError, AttributeError):  # musl
        return None
    return libc


def setup(n_threads: int) -> None:
    """Prepare this process for training and inference."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compiled_code()))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS is not deterministic
    keep_freed_memory()
    torch.set_num_threads(n_threads)
    # The same bytes every time: the compiled sum of embedding gradients would otherwise be atomic
    # additions, in an order that changes from run to run. Clearing fresh memory adds nothing to
    # that and costs time.
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.allow_tf32 = True  # of float32 products, which Muon has some of


def gpu() -> Device | None:
    """The kind of GPU that PyTorch can use here."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def gpu_names() -> list[str]:
    if torch.cuda.is_available():
        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [f"Apple GPU of {cpu_name()}"] if gpu() == "mps" else []


def at_hand(wanted: Device) -> Device:
    """The device a recipe trains on; the processor where that is not here."""
    return wanted if wanted == gpu() else "cpu"


def wait_for(device: torch.device) -> None:
    """A GPU works on after a call has returned: until all of it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def compiled_code() -> Path:
    """Where torch.compile keeps what it made, for later stages and runs."""
    return home() / "compiled"


def physical_cores() -> int:
    """Physical cores this process may use: a second thread on a core only gets in the way."""
    allowed = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return max(1, min(cores, allowed or cores, _processor_quota() or cores))


def _processor_quota() -> int | None:
    """Processors' worth of time that the control groups of this process leave it."""
    quotas = []
    for group in _control_groups("cpu"):
        quota, period = [*_numbers(group / "cpu.max"), None, None][:2]  # version 2
        if quota is None:  # version 1
            quota = next(iter(_numbers(group / "cpu.cfs_quota_us")), None)
            period = next(iter(_numbers(group / "cpu.cfs_period_us")), None)
        if quota and period and quota > 0:
            quotas.append(max(1, round(quota / period)))
    return min(quotas, default=None)


def _control_groups(controller: str) -> Iterator[Path]:
    """Directories of this process's control group and of those around it, in either version."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for _, controllers, inside in (line.split(":", 2) for line in lines):
        if controllers and controller not in controllers.split(","):
            continue
        root = Path("/sys/fs/cgroup") / (controller if controllers else "")
        group = root / inside.lstrip("/")
        yield from (g for g in (group, *group.parents) if g == root or root in g.parents)


def _numbers(path: Path) -> list[int]:
    """The numbers in a file of the kernel; none if there is no such file or no limit."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):  # a limit of "max" is none
        return []


def memory_in_reach(device: Device = "cpu") -> int:
    """Bytes that this process may have in memory in all, with what it has now: what the machine, a
    control group (a container, a batch job) or `ulimit -v` leave it; of a GPU, what others do."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved()
    if device == "mps":
        return torch.mps.recommended_max_memory()
    used = memory_used()
    bounds = [psutil.virtual_memory().available + used]
    for group in _control_groups("memory"):
        for limit, now in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            for most, taken in zip(_numbers(group / limit), _numbers(group / now), strict=False):
                bounds.append(most - taken + _page_cache(group) + used)
    try:
        import resource
    except ModuleNotFoundError:
        return min(bounds)
    limit_now, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit_now != resource.RLIM_INFINITY:
        taken = psutil.Process().memory_info().vms + THREADS_RESERVE
        bounds.append(limit_now - taken + used)
    return max(0, min(bounds))


def _page_cache(group: Path) -> int:
    """Bytes of files that a control group is charged for and gives up when memory is short."""
    try:
        lines = (group / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(n) for key, n in map(str.split, lines) if key == "inactive_file"), 0)


def free_disk(directory: Path) -> int:
    """Bytes free where `directory` is or will be."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(there).free


def matmul_gflops(dtype: torch.dtype, seconds: float = 0.4) -> float:
    """Sustained rate of a linear layer's product on the processor's threads in use."""
    m, k, n = MATMUL_SHAPE
    a, b = torch.ones(m, k, dtype=dtype), torch.ones(n, k, dtype=dtype)
    for _ in range(3):
        torch.nn.functional.linear(a, b)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        torch.nn.functional.linear(a, b)
        count += 1
    return 2.0 * m * k * n * count / elapsed / 1e9


def can_compile() -> bool:
    """torch.compile writes C++ and needs a compiler."""
    return compiler() is not None


def compiler() -> str | None:
    """Where a C++ compiler is."""
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    return {
        "cpu": cpu_name(),
        "cores": physical_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpu_names(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def memory_used() -> int:
    """Bytes of this process in memory now."""
    return psutil.Process().memory_info().rss


def peak_memory() -> int:
    """The most bytes this process has had in memory; what it has now where nobody keeps count."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return _peak_memory_by_getrusage()
    peak = next((line for line in lines if line.startswith("VmHWM:")), None)
    return int(peak.split()[1]) * 1024 if peak else memory_used()


def _peak_memory_by_getrusage() -> int:
    """Linux has this too, but there it begins with what the parent had at fork."""
    try:
        import resource
    except ModuleNotFoundError:
        return memory_used()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
