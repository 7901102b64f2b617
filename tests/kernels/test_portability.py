"""The native training step on other processors, with other compilers, and under sanitizers."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from firstwords.kernels.build import FOLDER

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("driver.cpp")
X86 = platform.machine() in ("x86_64", "AMD64")
# Levels of x86-64, a flag of /proc/cpuinfo that tells whether the processor has it, and products to
# test: those in float32 of the lowest level are what all others are compared with. This processor's
# own level is that of clang and the sanitizers here, and of test_native_training.py.
LEVELS = [
    ("x86-64", "sse2", "bfloat16"),
    ("x86-64-v3", "avx2", "float"),
    ("x86-64-v3", "avx2", "bfloat16"),
    ("x86-64-v4", "avx512vl", "float"),
    ("x86-64-v4", "avx512vl", "bfloat16"),
]
TOLERANCE = {"float": 1e-3, "bfloat16": 0.1}


def run_driver(
    directory: Path, number: str, *flags: str, compiler: str = "g++", runner: tuple[str, ...] = ()
) -> list[float]:
    """Compile the driver with products of `number`, run it, and return what it prints."""
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    program = directory / "driver"
    command = [compiler, "-std=c++17", "-O2", "-fno-math-errno", "-fno-trapping-math", "-pthread"]
    command += [f"-DNUMBER={number}", f"-I{FOLDER}", *flags, str(DRIVER), "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run(
        [*runner, str(program)], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """What the plainest code computes in float32."""
    return run_driver(tmp_path_factory.mktemp("plain"), "float")


def check(printed: list[float], expected: list[float], number: str) -> None:
    assert len(printed) == len(expected)
    tolerance, scale = TOLERANCE[number], max(abs(value) for value in expected[2:])
    assert printed[:2] == pytest.approx(expected[:2], rel=tolerance)
    for one, exact in zip(printed[2:], expected[2:], strict=True):
        assert abs(one - exact) <= tolerance * (abs(exact) + 0.05 * scale)


@pytest.mark.parametrize(("level", "flag", "number"), LEVELS)
def test_every_level_of_x86_computes_the_same(
    level: str, flag: str, number: str, expected: list[float], tmp_path: Path
) -> None:
    if not X86:
        pytest.skip("needs an x86-64 processor")
    if flag not in Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        pytest.skip(f"this processor is below {level}")
    check(run_driver(tmp_path, number, f"-march={level}"), expected, number)


@pytest.mark.parametrize("number", TOLERANCE)
def test_arm_computes_the_same(number: str, expected: list[float], tmp_path: Path) -> None:
    emulator = shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("needs qemu-aarch64")
    compiler = "aarch64-linux-gnu-g++"
    printed = run_driver(tmp_path, number, "-static", compiler=compiler, runner=(emulator,))
    check(printed, expected, number)


@pytest.mark.parametrize("number", TOLERANCE)
def test_clang_computes_the_same(number: str, expected: list[float], tmp_path: Path) -> None:
    check(run_driver(tmp_path, number, "-march=native", compiler="clang++"), expected, number)


@pytest.mark.parametrize("number", TOLERANCE)
def test_sanitizers_find_nothing(number: str, expected: list[float], tmp_path: Path) -> None:
    """Without optimization, which may remove what they would find, and takes a minute."""
    flags = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    check(run_driver(tmp_path, number, *flags, "-march=native"), expected, number)
