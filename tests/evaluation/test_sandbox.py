"""Hostile programs in the sandbox neither pass, nor do harm, nor hang."""

import sys
import time
from pathlib import Path

import pytest

from firstwords.evaluation import sandbox

needs_isolation = pytest.mark.skipif(
    bool(sandbox.unavailable_reason()),
    reason=f"programs cannot be isolated: {sandbox.unavailable_reason()}",
)
GOOD = {
    "passes": "def f(x):\n    return x + 1\nassert f(1) == 2",
    "uses the library": "import math, re, collections\nassert math.isqrt(9) == 3",
    "prints": "print('x' * 10_000)",
    "starts a thread": "import threading\nt = threading.Thread(target=int)\nt.start()\nt.join()",
    "writes a file of its own": "open('a', 'w').write('x')\nassert open('a').read() == 'x'",
}
HOSTILE = {
    "is wrong": "assert False",
    "is no Python": "def f(:",
    "loops": "while True: pass",
    "sleeps": "import time\ntime.sleep(1000)",
    "ignores all signals": "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, "
    "signal.SIG_IGN)\n    except OSError: pass\nwhile True: pass",
    "catches every exception": "while True:\n    try:\n        while True: pass\n"
    "    except BaseException: pass",
    "forks": "import os\nwhile True:\n    try: os.fork()\n    except BlockingIOError: pass",
    "starts a program": "import subprocess\nsubprocess.run(['/bin/true'], check=True)",
    "starts a process": "import multiprocessing\n"
    "multiprocessing.get_context('fork').Process(target=int).start()",
    "takes all memory": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "fills the disk with a file": "open('big', 'wb').write(b'x' * (1 << 28))",
    "fills the disk with files": "for i in range(200): open(str(i), 'wb').write(b'x' * (1 << 20))",
    "writes outside": "open('/var/tmp/firstwords-was-here', 'w').write('x')",
    "reads the users": "open('/etc/passwd').read()",
    "reads the home": "import os\nos.listdir(os.path.expanduser('~'))",
    "opens a socket": "import socket\ns = socket.socket()\ns.settimeout(3)\n"
    "s.connect(('1.1.1.1', 80))",
    "asks the loopback": "import socket\ns = socket.socket()\ns.settimeout(3)\n"
    "s.connect(('127.0.0.1', PORT))",
    "kills its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
    "os.kill(-1, signal.SIGKILL)\nraise SystemExit",
    "closes everything": "import os\nos.closerange(0, 4096)",
    "replaces stdout and leaves": "import sys, io\nsys.stdout = io.StringIO()\nsys.exit(0)",
    "says that it passed and leaves": "import os\nprint('passed')\nos._exit(0)",
    "leaves": "raise SystemExit(0)",
    "reads memory": "open('/proc/1/mem', 'rb').read(1)\nraise SystemExit",
    "recurses": "def f(): f()\nf()",
}


@needs_isolation
@pytest.mark.parametrize("name", GOOD)
def test_a_correct_program_passes(name: str) -> None:
    assert sandbox.run_program(GOOD[name]) == sandbox.ProgramResult(True, "")


@needs_isolation
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_neither_passes_nor_hangs(name: str, tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    sentinel.write_text("here")
    started = time.monotonic()
    result = sandbox.run_program(HOSTILE[name].replace("PORT", "631"), seconds=2.0)
    assert not result.passed
    assert result.reason
    assert time.monotonic() - started < 6
    assert sentinel.read_text() == "here"
    assert not Path("/var/tmp/firstwords-was-here").exists()


@needs_isolation
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_ten_gigabytes_of_output_are_discarded(stream: str) -> None:
    program = (
        f"import sys\nfor _ in range(10_000): sys.{stream}.write('x' * 1_000_000)\nsys.exit(0)"
    )
    started = time.monotonic()
    result = sandbox.run_program(program, seconds=5.0)
    assert not result.passed
    assert len(result.reason) <= 200
    assert time.monotonic() - started < 9


@needs_isolation
def test_a_program_sees_no_environment_and_no_user_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    (tmp_path / "secret").write_text("x")
    program = (
        "import os\n"
        "assert 'SECRET' not in os.environ\n"
        f"assert not os.path.exists({str(tmp_path / 'secret')!r})\n"
        f"assert not os.path.exists({str(Path(__file__).parent)!r})\n"
        "assert len([p for p in os.listdir('/proc') if p.isdigit()]) <= 3\n"
    )
    assert sandbox.run_program(program) == sandbox.ProgramResult(True, "")


@needs_isolation
def test_deleting_everything_deletes_nothing(tmp_path: Path) -> None:
    program = (
        "import os, shutil\nfor name in os.listdir('/'):\n"
        "    shutil.rmtree('/' + name, ignore_errors=True)\nraise SystemExit\n"
    )
    before = sorted(Path("/usr/lib").iterdir())
    assert not sandbox.run_program(program).passed
    assert sorted(Path("/usr/lib").iterdir()) == before
    assert Path(sys.executable).exists()


@needs_isolation
def test_all_descriptors_are_closed_afterwards() -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for program in ("pass", "assert False", "while True: pass"):
        sandbox.run_program(program, seconds=1.0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("name", ["passes", "is wrong", "leaves", "loops"])
def test_without_isolation_the_verdict_is_the_same(name: str) -> None:
    program = (GOOD | HOSTILE)[name]
    assert sandbox.run_program(program, isolated=False, seconds=2.0).passed == (name in GOOD)


def test_without_a_sandbox_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.unavailable_reason.cache_clear()
    try:
        assert (
            "bubblewrap" in sandbox.unavailable_reason() or "Linux" in sandbox.unavailable_reason()
        )
        with pytest.raises(RuntimeError, match=r"bubblewrap|Linux"):
            sandbox.run_program("pass")
    finally:
        monkeypatch.undo()
        sandbox.unavailable_reason.cache_clear()
