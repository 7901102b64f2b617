"""A sandbox for programs that a model wrote, which may do anything.

bubblewrap gives each program its own namespaces: no network, no processes but its own, and of the
disk only the system's programs and Python, read-only, and an empty directory in memory. A seccomp
filter forbids starting processes; limits bound its time, memory and files.

A program passes if it runs to its end: only then its last line writes a secret key into a pipe,
which no exit code and no output can imitate. (A program that searches its own file for the key
deceives the score, not the machine.)

Without bubblewrap or libseccomp, `unavailable_reason` says what is missing, and programs only run
if the caller gives up isolation.
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

TIMEOUT_SECONDS = 5.0  # wall time; the reference allows 3 in a Python that is already running
MEMORY_BYTES = 512 << 20
FILE_BYTES = 16 << 20
CLONE_THREAD = 0x00010000  # linux/sched.h
SYSTEM_DIRECTORIES = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


class ProgramResult(NamedTuple):
    """Whether a program passed, and if not, why: a signal, or the last line of its stderr."""

    passed: bool
    reason: str


def run_program(
    program: str, isolated: bool = True, seconds: float = TIMEOUT_SECONDS
) -> ProgramResult:
    """Run a Python program. Raises RuntimeError if it should be isolated and cannot be."""
    if isolated and (reason := unavailable_reason()):
        raise RuntimeError(reason)
    key = secrets.token_hex(16).encode()
    with tempfile.TemporaryDirectory(prefix="firstwords-") as name, _seccomp_filter() as seccomp:
        folder = Path(name)
        read_end, write_end = os.pipe()
        last_line = f"\n\nimport os as _os\n_os.write({write_end}, {key!r})\n"
        (folder / "program.py").write_text(program + last_line, encoding="utf-8")
        python = [_python(), "-I", "program.py"]
        command = [*_bubblewrap(folder, seccomp), *python] if isolated else python
        try:
            reason = _wait(_limited(command, seconds), folder, (write_end, seccomp), seconds)
            os.close(write_end)
            write_end = -1
            passed = _read_available(read_end, len(key) + 1) == key
        finally:
            os.close(read_end)
            if write_end >= 0:
                os.close(write_end)
    return ProgramResult(passed, "" if passed else reason)


@cache
def unavailable_reason() -> str:
    """Return why this machine cannot isolate programs; empty if it can."""
    if not sys.platform.startswith("linux"):
        return "isolating programs needs Linux"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (on Debian and Ubuntu: apt install bubblewrap)"
    try:
        with _seccomp_filter():
            pass
    except (ImportError, OSError, RuntimeError) as error:
        return (
            f"libseccomp is not installed (on Debian and Ubuntu: apt install libseccomp2; {error})"
        )
    with tempfile.TemporaryDirectory() as name, _seccomp_filter() as seccomp:
        command = [*_bubblewrap(Path(name), seccomp), _python(), "-I", "-c", ""]
        trial = subprocess.run(command, capture_output=True, text=True, pass_fds=(seccomp,))
    if trial.returncode:
        return f"bubblewrap does not work on this machine ({_last_line(trial.stderr)})"
    return ""


def _bubblewrap(folder: Path, seccomp: int) -> list[str]:
    """Return the command to put before the program's own. The program starts in a directory that
    contains nothing but `program.py`."""
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    options += ["--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]
    for directory in SYSTEM_DIRECTORIES:
        path = Path(directory)
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), directory]
        elif path.is_dir():
            options += ["--ro-bind", directory, directory]
    prefix = Path(sys.base_prefix).resolve()
    if not prefix.is_relative_to("/usr"):
        options += ["--ro-bind", str(prefix), str(prefix)]
    options += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    options += ["--proc", "/proc", "--dev", "/dev", "--size", str(FILE_BYTES), "--tmpfs", "/tmp"]
    options += ["--dir", "/tmp/work", "--chdir", "/tmp/work"]
    program = folder / "program.py"
    if program.exists():
        options += ["--ro-bind", str(program), "/tmp/work/program.py"]
    return ["bwrap", *options, "--seccomp", str(seccomp), "--"]


@contextmanager
def _seccomp_filter() -> Iterator[int]:
    """Yield the descriptor of a file with the seccomp filter, which allows threads but no
    processes."""
    import pyseccomp as seccomp  # loads the system's libseccomp

    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    for name in ("fork", "vfork"):
        rules.add_rule(seccomp.ERRNO(1), name)
    rules.add_rule(seccomp.ERRNO(38), "clone3")  # ENOSYS makes the C library fall back to clone
    no_thread = seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, 0)
    rules.add_rule(seccomp.ERRNO(1), "clone", no_thread)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        yield file.fileno()


def _limited(command: list[str], seconds: float) -> list[str]:
    """Return the command under limits on processor time, memory and file size, without core dumps.
    Every POSIX shell can set them."""
    blocks, kilobytes = FILE_BYTES // 512, MEMORY_BYTES // 1024
    limits = f"ulimit -c 0; ulimit -t {round(seconds) + 1}; ulimit -f {blocks}; "
    memory = f"ulimit -v {kilobytes}; " if sys.platform.startswith("linux") else ""
    return ["/bin/sh", "-c", f'{limits}{memory}exec "$@"', "sh", *command]


def _wait(command: list[str], folder: Path, descriptors: tuple[int, ...], seconds: float) -> str:
    """Run the command; return how it ended. Its output is discarded, except the last line of its
    stderr."""
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=descriptors,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill_group(process)
        size = stderr.seek(0, os.SEEK_END)
        stderr.seek(max(0, size - 2000))
        message = _last_line(stderr.read().decode("utf-8", "replace"))
    if code is None:
        return f"timed out after {seconds:g} s"
    if code < 0 or code > 128:
        return f"killed by signal {-code if code < 0 else code - 128}"
    return message or f"exited early with code {code}"


def _read_available(descriptor: int, size: int) -> bytes:
    """Return what is in the pipe, without waiting for processes that still hold its other end."""
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, size)
    except BlockingIOError:
        return b""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole process group, even if its first process has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else ""


def _python() -> str:
    """Return the interpreter itself: a virtual environment's is a link, in a directory that the
    sandbox does not contain."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
