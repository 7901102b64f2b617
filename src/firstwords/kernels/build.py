"""Compile `decode.cpp` for this processor at its first use, and cache the library.

The cache is in the Firstwords home. A library is keyed by its source, compiler, processor and
flags, so a change of any of them compiles it again.
"""

import ctypes
import hashlib
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from firstwords.common import console, files, hardware, paths
from firstwords.common.errors import telling_line

SOURCE = Path(__file__).with_name("decode.cpp")
COMPILER_FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
# Tune for this processor (-mcpu is Clang's flag on ARM) and use threads, as far as the compiler
# can: the first set of flags that it accepts is used.
OPTIONAL_FLAGS = (
    ("-march=native", "-fopenmp"),
    ("-mcpu=native", "-fopenmp"),
    ("-march=native",),
    (),
)
COMPILE_TIMEOUT_SECONDS = 120.0


@cache
def decode_library() -> ctypes.CDLL | None:
    """Return the compiled `decode.cpp`; None without a C++ compiler, or after a warning if
    compiling fails."""
    compiler = hardware.find_compiler()
    if compiler is None:
        return None
    processor = (hardware.cpu_name(), torch.backends.cpu.get_cpu_capability())
    inputs = (SOURCE.read_text(encoding="utf-8"), compiler, *processor, *COMPILER_FLAGS)
    key = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    path = paths.compile_cache() / f"decode-{key}.so"
    try:
        return _load(path) or _compile(compiler, path)
    except (OSError, subprocess.SubprocessError) as error:
        reason = telling_line(error)
        console.warn(f"compiling the decoder failed, so generation is slower ({reason})")
        return None


def _load(path: Path) -> ctypes.CDLL | None:
    """Return the library; None if it is missing, or incomplete after a kill or a power cut."""
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def _compile(compiler: str, path: Path) -> ctypes.CDLL:
    """Compile the library as `path`, which appears whole or not at all: other processes may compile
    it at the same time. Raises OSError, SubprocessError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        output = Path(folder) / path.name
        for flags in OPTIONAL_FLAGS:
            command = [compiler, *COMPILER_FLAGS, *flags, str(SOURCE), "-o", str(output)]
            result = subprocess.run(
                command, capture_output=True, timeout=COMPILE_TIMEOUT_SECONDS, check=False
            )
            if result.returncode == 0:
                break
        else:
            said = result.stderr.decode(errors="replace").strip()
            raise OSError(said or f"{compiler} exits with {result.returncode}")
        files.commit(output, path)
    return ctypes.CDLL(str(path))
