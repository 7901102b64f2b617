"""Hostile programs in the sandbox neither pass, nor do harm, nor hang."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_attacks import CHEATS, ENDLESS, EVERY_CALL, HARM, SLOW, SOLUTION, TESTS, WRONG

from firstwords.common import cgroups
from firstwords.evaluation import sandbox
from firstwords.evaluation.sandbox import inside, isolation, memory_group

PATIENCE_SECONDS = 120.0  # for programs that end by themselves
needs_isolation = pytest.mark.skipif(
    bool(sandbox.unavailable_reason()),
    reason=f"programs cannot be isolated: {sandbox.unavailable_reason()}",
)
GOOD = {
    "computes": "def f(x):\n    return x + 1",
    "uses the library": "import math, re, collections, decimal, hashlib, random, datetime, typing\n"
    "hashlib.md5(b'').hexdigest()\ndatetime.datetime.now()\nrandom.SystemRandom().random()\n"
    "def f(x): return math.isqrt((x + 1) ** 2)",
    "prints": "def f(x):\n    print('x' * 10_000)\n    return x + 1",
    "starts a thread": "from concurrent.futures import ThreadPoolExecutor\n"
    "def f(x):\n    with ThreadPoolExecutor() as pool: return pool.submit(int, x + 1).result()",
    "writes a file of its own": "import tempfile\ndef f(x):\n"
    "    with tempfile.TemporaryFile('w+') as file:\n        file.write(str(x + 1))\n"
    "        file.seek(0)\n        return int(file.read())",
    "runs as the main program": "if __name__ == '__main__':\n    def f(x): return x + 1",
    "has a data class": "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: 'int'\n"
    "def f(x): return A(x + 1).x",
    "returns its own kind of integer": "import enum\nclass E(enum.IntEnum):\n    A = 2\n"
    "    B = 42\ndef f(x): return E(x + 1)",
    "reads stdin": "import sys\ndef f(x): return x + 1 + len(sys.stdin.read())",
}


def names_of(table: dict[str, str]) -> pytest.MarkDecorator:
    """Parametrise with the names of a table; those that take long are slow."""
    return pytest.mark.parametrize(
        "name",
        [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in table],
    )


def run(
    program: str, tests: str = TESTS, name: str = "", isolated: bool = True
) -> sandbox.ProgramResult:
    seconds = 1.0 if name in ENDLESS else PATIENCE_SECONDS
    return sandbox.run_program(program, "f", tests, isolated, seconds)


@needs_isolation
@names_of(GOOD)
def test_a_correct_program_passes(name: str) -> None:
    assert run(GOOD[name]) == sandbox.ProgramResult(True, "")


@needs_isolation
@names_of(HARM)
def test_a_program_does_no_harm(name: str) -> None:
    result = run(f"{HARM[name]}\n{SOLUTION}", name=name)
    assert not result.passed
    assert name in ENDLESS or not result.reason.startswith("timed out")
    assert not Path("/var/tmp/firstwords-was-here").exists()


@needs_isolation
def test_system_calls_that_are_not_listed_do_not_exist() -> None:
    import pyseccomp

    names = [*isolation.ALLOWED_CALLS.split(), *isolation.LIMITED_CALLS, "clone"]
    allowed = {pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) for name in names}
    uprobes = {335, 336}  # never filtered; end a process that is not being traced
    others = sorted(set(range(600)) - allowed - uprobes)
    assert len(others) > 450
    result = run(EVERY_CALL, f"def check(candidate): assert candidate({others}) == []")
    assert result == sandbox.ProgramResult(True, "")


@needs_isolation
@names_of(CHEATS)
def test_a_program_cannot_pass_without_a_solution(name: str) -> None:
    result = run(f"{WRONG}{CHEATS[name]}\n", name=name)
    assert not result.passed
    assert result.reason
    assert len(result.reason) <= 200


@pytest.mark.parametrize("name", ["leaves without cleaning up", "equals everything", "is wrong"])
def test_without_isolation_cheating_does_not_help(name: str) -> None:
    assert not run(f"{WRONG}{CHEATS[name]}\n", isolated=False).passed


@pytest.mark.parametrize("name", ["computes", "starts a thread"])
def test_without_isolation_a_correct_program_passes(name: str) -> None:
    assert run(GOOD[name], isolated=False).passed


def test_without_isolation_time_is_limited() -> None:
    result = run(HARM["loops"], name="loops", isolated=False)
    assert result == sandbox.ProgramResult(False, "timed out after 1 s")


@needs_isolation
@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in HARM if "fills" in n or "threads" in n])
def test_memory_is_bounded_without_a_control_group(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_group, "control_groups", lambda controller: iter(()))
    assert not run(f"{HARM[name]}\n{SOLUTION}", name=name).passed


def memory_groups() -> set[Path]:
    return {p for g in cgroups.control_groups("memory") for p in g.glob("firstwords-*")}


def test_a_control_group_bounds_memory_and_is_removed() -> None:
    """A file in memory, which no limit of a process counts."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("needs /dev/shm")
    with memory_group.memory_group(32 << 20) as group:
        if group is None:
            pytest.skip("this user cannot make control groups")
        file = Path("/dev/shm", group.name)
        script = f"echo $$ > {group}/cgroup.procs; exec head -c 64M /dev/zero > {file}"
        code = subprocess.run(["sh", "-c", script]).returncode
        size = file.stat().st_size
        file.unlink()
    assert code != 0
    assert size < 33 << 20
    assert not group.exists()


@needs_isolation
def test_output_is_discarded() -> None:
    program = "import sys\nfor _ in range(20):\n    for stream in (sys.stdout, sys.stderr):\n"
    assert run(f"{program}        stream.write('x' * 1_000_000)\n{SOLUTION}").passed


@needs_isolation
def test_a_program_sees_no_environment_no_user_files_and_no_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    (tmp_path / "secret").write_text("x")
    program = (
        "import os\n"
        "assert 'SECRET' not in os.environ\n"
        f"assert not os.path.exists({str(tmp_path / 'secret')!r})\n"
        f"assert not os.path.exists({str(Path(__file__).parent)!r})\n"
        "assert not os.path.exists('/proc')\n"
        "assert sorted(os.listdir('/dev')) == ['null', 'urandom']\n"
        "assert os.listdir('/tmp') == []\n"
        "assert 'check' not in globals()\n"
    )
    assert run(program + SOLUTION) == sandbox.ProgramResult(True, "")


@needs_isolation
def test_deleting_everything_deletes_nothing() -> None:
    program = (
        "import os, shutil\nfor name in ['bin', 'dev', 'lib64', 'tmp', 'usr/bin']:\n"
        "    shutil.rmtree('/' + name, ignore_errors=True)\n"
    )
    before = sorted(Path("/usr/bin").iterdir())
    assert run(program + SOLUTION).passed
    assert sorted(Path("/usr/bin").iterdir()) == before
    assert Path(sys.executable).exists()


@needs_isolation
def test_nothing_is_left_afterwards() -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    before, groups = len(list(Path("/proc/self/fd").iterdir())), memory_groups()
    for program in (SOLUTION, WRONG, HARM["loops"], CHEATS["leaves without cleaning up"]):
        run(program, name="loops")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert memory_groups() <= groups


@needs_isolation
def test_tests_may_expect_exceptions_and_use_the_functions_name() -> None:
    tests = (
        "def check(candidate):\n"
        "    try: candidate(0)\n"
        "    except ZeroDivisionError: pass\n"
        "    else: raise AssertionError\n"
        "    assert f(4) == candidate(x=4) == 0.25\n"
    )
    assert run("def f(x): return 1 / x", tests) == sandbox.ProgramResult(True, "")


@needs_isolation
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("input()", "EOFError"),
        ("b'\\xff'.decode()", "UnicodeDecodeError"),
        ("raise type('Mine', (Exception,), {})", "Mine"),
        ("raise type('\\x1b[31m', (Exception,), {})", "?"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", "killed by signal 9"),
    ],
)
def test_the_reason_names_how_the_program_failed(body: str, reason: str) -> None:
    assert run(f"def f(x):\n    {body}").reason.endswith(reason)


@needs_isolation
def test_tests_that_leave_do_not_pass() -> None:
    assert not run(SOLUTION, "def check(candidate): raise SystemExit(0)").passed
    assert not run(SOLUTION, "import os\ndef check(candidate): os._exit(0)").passed


KEYS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
VALUES = st.recursive(
    KEYS | st.floats(allow_nan=False) | st.just("\ud800"),
    lambda values: (
        st.lists(values)
        | st.lists(values).map(tuple)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
        | st.dictionaries(KEYS, values)
    ),
    max_leaves=5,
)


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_plain_values_arrive_as_they_are(value: object) -> None:
    line = json.dumps(inside.encode(value))
    assert line.isascii()
    assert "\n" not in line
    arrived = inside.decode(json.loads(line))
    assert type(arrived) is type(value)
    assert arrived == value


def test_integers_of_any_size_arrive() -> None:
    for value in (2**63, -(2**63), 10**5000):
        assert inside.decode(json.loads(json.dumps(inside.encode(value)))) == value


@pytest.mark.parametrize("value", [object(), len, iter([]), range(3), [object()], {1: object}])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="not plain data"):
        inside.encode(value)


def test_without_a_sandbox_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.unavailable_reason.cache_clear()
    try:
        assert (
            "bubblewrap" in sandbox.unavailable_reason() or "Linux" in sandbox.unavailable_reason()
        )
        with pytest.raises(RuntimeError, match=r"bubblewrap|Linux"):
            run(SOLUTION)
    finally:
        monkeypatch.undo()
        sandbox.unavailable_reason.cache_clear()
