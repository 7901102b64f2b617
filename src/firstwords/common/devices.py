"""torch on this machine: its settings, the devices it can use, their memory and speed.

Nothing is chosen by the machine's name; planning measures instead (planning/autotune.py).
"""

import os
import platform
import time
from typing import Any

import psutil
import torch

from firstwords.common import memory, paths
from firstwords.common.hardware import Device, cpu_name, physical_cores

MATMUL_SHAPE = (4096, 256, 1024)  # tokens x channels x hidden units of a typical small model


def configure_torch(n_threads: int) -> None:
    """Prepare this process for training and inference with so many threads."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(paths.compile_cache()))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # makes cuBLAS deterministic
    memory.keep_freed_memory()
    torch.set_num_threads(n_threads)
    # The same bytes every time: the compiled sum of embedding gradients would otherwise use atomic
    # additions, whose order changes from run to run. Filling fresh memory would only cost time.
    # torch.use_deterministic_algorithms would also import the compiler, which takes 2 s of CPU
    # time; training/setup.py makes the compiler deterministic where it is used.
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.allow_tf32 = True  # for Muon's float32 products


def available_gpu() -> Device | None:
    """Return the kind of GPU that torch can use, if any."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def gpu_names() -> list[str]:
    """Return the names of the GPUs that torch can use."""
    if torch.cuda.is_available():
        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [f"Apple GPU of {cpu_name()}"] if available_gpu() == "mps" else []


def device_or_cpu(device: Device) -> Device:
    """Return the device if this machine has it, else the CPU."""
    return device if device == available_gpu() else "cpu"


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished all queued work; a CPU has none."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def available_memory(device: Device = "cpu") -> int:
    """Return the bytes of a device's memory that this process may use in total, including what it
    uses now."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved()
    if device == "mps":
        return torch.mps.recommended_max_memory()
    return memory.available_memory()


def matmul_gflops(dtype: torch.dtype, seconds: float = 0.4) -> float:
    """Measure the sustained GFLOP/s of a linear layer on the CPU threads in use."""
    m, k, n = MATMUL_SHAPE
    a, b = torch.ones(m, k, dtype=dtype), torch.ones(n, k, dtype=dtype)
    for _ in range(3):
        torch.nn.functional.linear(a, b)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        torch.nn.functional.linear(a, b)
        count += 1
    return 2.0 * m * k * n * count / elapsed / 1e9


def describe_machine() -> dict[str, Any]:
    """Return processor, memory, GPUs and versions, for a run's manifest."""
    return {
        "cpu": cpu_name(),
        "cores": physical_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpu_names(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
