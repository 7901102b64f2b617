"""A place to run programs that a model wrote: they may be wrong in any way.

bubblewrap gives each its own namespaces: no network, no processes but its own, of the disk only the
system's programs and Python, read-only, and an empty directory in memory that vanishes. A seccomp
filter lets it start no processes; limits bound its time, memory and files. A program has passed if
it came to its end: only then its last line writes a key into a pipe, which no exit code and nothing
printed can stand for. (One that searches its own file for the key deceives the score, not the
machine.)

Where that cannot be had, `why_not` says why, and nothing runs unless it is asked for without.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

SECONDS = 5.0  # of wall time; the reference gives 3 to programs that start in a running Python
MEMORY = 512 << 20
SCRATCH = 16 << 20  # bytes of files
CLONE_THREAD = 0x00010000  # linux/sched.h
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


class Outcome(NamedTuple):
    passed: bool
    why: str  # what ended it: the last line it wrote to stderr, or a signal


def run(program: str, isolated: bool = True, seconds: float = SECONDS) -> Outcome:
    """Run a Python program. Raises RuntimeError if it is to be isolated and cannot be."""
    if isolated and (reason := why_not()):
        raise RuntimeError(reason)
    key = secrets.token_hex(16).encode()
    with tempfile.TemporaryDirectory(prefix="firstwords-") as name, _filter() as seccomp:
        folder = Path(name)
        reading, writing = os.pipe()
        last = f"\n\nimport os as _os\n_os.write({writing}, {key!r})\n"
        (folder / "program.py").write_text(program + last, encoding="utf-8")
        inside = [_python(), "-I", "program.py"]
        command = [*_bubblewrap(folder, seccomp), *inside] if isolated else inside
        try:
            ended = _wait(_limited(command, seconds), folder, (writing, seccomp), seconds)
            os.close(writing)
            writing = -1
            passed = _heard(reading, len(key) + 1) == key
        finally:
            os.close(reading)
            if writing >= 0:
                os.close(writing)
    return Outcome(passed, "" if passed else ended)


@cache
def why_not() -> str:
    """Why programs cannot be isolated here; empty if they can."""
    if not sys.platform.startswith("linux"):
        return "isolating programs needs Linux"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (on Debian and Ubuntu: apt install bubblewrap)"
    try:
        with _filter():
            pass
    except (ImportError, OSError, RuntimeError) as error:
        return (
            f"libseccomp is not installed (on Debian and Ubuntu: apt install libseccomp2; {error})"
        )
    with tempfile.TemporaryDirectory() as name, _filter() as seccomp:
        command = [*_bubblewrap(Path(name), seccomp), _python(), "-I", "-c", ""]
        tried = subprocess.run(command, capture_output=True, text=True, pass_fds=(seccomp,))
    if tried.returncode:
        return f"bubblewrap does not work here ({_last_line(tried.stderr)})"
    return ""


def _bubblewrap(folder: Path, seccomp: int) -> list[str]:
    """The command before the program's own, which starts in an empty directory with program.py."""
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    options += ["--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]
    for place in SYSTEM:
        path = Path(place)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), place]
        elif path.is_dir():
            options += ["--ro-bind", place, place]
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        options += ["--ro-bind", str(prefix), str(prefix)]
    options += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    options += ["--proc", "/proc", "--dev", "/dev", "--size", str(SCRATCH), "--tmpfs", "/tmp"]
    options += ["--dir", "/tmp/work", "--chdir", "/tmp/work"]
    program = folder / "program.py"
    if program.exists():
        options += ["--ro-bind", str(program), "/tmp/work/program.py"]
    return ["bwrap", *options, "--seccomp", str(seccomp), "--"]


@contextmanager
def _filter() -> Iterator[int]:
    """A file with the seccomp filter: threads may be started, processes may not."""
    import pyseccomp as seccomp  # loads the system's libseccomp

    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in ("fork", "vfork"):
        rules.add_rule(seccomp.ERRNO(1), name)
    rules.add_rule(seccomp.ERRNO(38), "clone3")  # not known: then the C library takes clone
    no_thread = seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, 0)
    rules.add_rule(seccomp.ERRNO(1), "clone", no_thread)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        yield file.fileno()


def _limited(command: list[str], seconds: float) -> list[str]:
    """The command under limits of its own and of all that it starts, as every shell can set them:
    processor time, memory, the size of a file, and no core dumps."""
    blocks, kilobytes = SCRATCH // 512, MEMORY // 1024
    limits = f"ulimit -c 0; ulimit -t {round(seconds) + 1}; ulimit -f {blocks}; "
    memory = f"ulimit -v {kilobytes}; " if sys.platform.startswith("linux") else ""
    return ["/bin/sh", "-c", f'{limits}{memory}exec "$@"', "sh", *command]


def _wait(command: list[str], folder: Path, descriptors: tuple[int, ...], seconds: float) -> str:
    """How the program ended. What it prints goes nowhere but the last of its complaints."""
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            pass_fds=descriptors,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill(process)
        size = complaints.seek(0, os.SEEK_END)
        complaints.seek(max(0, size - 2000))
        said = _last_line(complaints.read().decode("utf-8", "replace"))
    if code is None:
        return f"no end after {seconds:g} s"
    if code < 0 or code > 128:
        return f"ended by signal {-code if code < 0 else code - 128}"
    return said or f"left early with exit code {code}"


def _heard(descriptor: int, most: int) -> bytes:
    """What stands in the pipe; whoever may still hold its other end is not waited for."""
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, most)
    except BlockingIOError:
        return b""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group, whether or not its first process is still there."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else ""


def _python() -> str:
    """The interpreter itself: a virtual environment's is a link in a directory not seen inside."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
