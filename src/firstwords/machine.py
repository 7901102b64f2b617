"""This machine: what it is, what it can do, and the settings that follow.

Nothing is chosen by the machine's name: the dtype is the one whose matrix products are faster here.
"""

import ctypes
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from platformdirs import user_cache_path

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
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl
        return
    m_trim_threshold, m_mmap_max = -1, -4
    mallopt(m_mmap_max, 0)
    mallopt(m_trim_threshold, 2**31 - 1)


def setup(n_threads: int) -> None:
    """Prepare this process for training and inference."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compiled_code()))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    keep_freed_memory()
    torch.set_num_threads(n_threads)
    # The same bytes every time: the compiled sum of embedding gradients would otherwise be atomic
    # additions, in an order that changes from run to run. Clearing fresh memory adds nothing to
    # that and costs time.
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def compiled_code() -> Path:
    """Where torch.compile keeps what it made, for later stages and runs."""
    return home() / "compiled"


def physical_cores() -> int:
    """Physical cores this process may use: a second thread on a core only gets in the way."""
    allowed = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else 0
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return max(1, min(cores, allowed or cores))


def matmul_gflops(dtype: torch.dtype, seconds: float = 0.4) -> float:
    """Sustained rate of a linear layer's product on the threads in use."""
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
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return any(name and shutil.which(name) for name in names)


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
        import resource
    except ModuleNotFoundError:
        return memory_used()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
