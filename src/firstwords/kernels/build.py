"""Compile the C++ of this folder for this processor at its first use, and cache the libraries.

The cache is in the Firstwords home. A library is keyed by its sources, compiler, processor and
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
from firstwords.recipe import Dtype

FOLDER = Path(__file__).parent
COMPILER_FLAGS = (
    *("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math"),
    *("-shared", "-fPIC", "-pthread"),
)
# Tune for this processor (-mcpu is Clang's flag on ARM) and use OpenMP, which the decoder needs for
# threads, as far as the compiler can: the first set of flags that it accepts is used.
OPTIONAL_FLAGS = (
    ("-march=native", "-fopenmp"),
    ("-mcpu=native", "-fopenmp"),
    ("-march=native",),
    (),
)
COMPILE_TIMEOUT_SECONDS = 120.0
NUMBERS: dict[Dtype, str] = {"float32": "float", "bfloat16": "bfloat16"}


def decode_library() -> ctypes.CDLL | None:
    """Return the compiled `decode.cpp`; None without a C++ compiler, or after a warning if
    compiling fails."""
    return _library("decode.cpp", (), "the decoder", "generation")


def train_library(dtype: Dtype) -> ctypes.CDLL | None:
    """Return the compiled `train.cpp` with products in `dtype`; None as for `decode_library`."""
    definitions = (f"-DNUMBER={NUMBERS[dtype]}",)
    return _library("train.cpp", definitions, "the native training step", "training")


@cache
def _library(
    source: str, definitions: tuple[str, ...], what: str, purpose: str
) -> ctypes.CDLL | None:
    compiler = hardware.find_compiler()
    if compiler is None:
        return None
    processor = (hardware.cpu_name(), torch.backends.cpu.get_cpu_capability())
    headers = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.h"))]
    text = (FOLDER / source).read_text(encoding="utf-8")
    inputs = (text, *headers, compiler, *processor, *COMPILER_FLAGS, *definitions)
    key = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    path = paths.compile_cache() / f"{Path(source).stem}-{key}.so"
    try:
        return _load(path) or _compile(compiler, FOLDER / source, definitions, path)
    except OSError as error:
        reason = telling_line(error)
        console.warn(f"compiling {what} failed, so {purpose} is slower ({reason})")
        return None


def _load(path: Path) -> ctypes.CDLL | None:
    """Return the library; None if it is missing, or incomplete after a kill or a power cut."""
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None


def _compile(compiler: str, source: Path, definitions: tuple[str, ...], path: Path) -> ctypes.CDLL:
    """Compile the library as `path`, which appears whole or not at all: other processes may compile
    it at the same time. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.name == "train.cpp":
        console.say("compiling the native training step for this processor (a few seconds, once)")
    with TemporaryDirectory(dir=path.parent) as folder:
        output = Path(folder) / path.name
        for flags in OPTIONAL_FLAGS:
            options = (*COMPILER_FLAGS, *definitions, *flags)
            command = [compiler, *options, str(source), "-o", str(output)]
            try:
                result = subprocess.run(
                    command, capture_output=True, timeout=COMPILE_TIMEOUT_SECONDS, check=False
                )
            except subprocess.TimeoutExpired as error:
                limit = f"{error.timeout:.0f} s"
                raise OSError(f"{compiler} took longer than {limit} on a busy machine") from None
            if result.returncode == 0:
                break
        else:
            said = result.stderr.decode(errors="replace").strip()
            raise OSError(said or f"{compiler} exits with {result.returncode}")
        files.commit(output, path)
    return ctypes.CDLL(str(path))
