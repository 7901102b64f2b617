"""Isolation of a process by bubblewrap, seccomp and limits; needs Linux.

bubblewrap gives the process its own namespaces: no network, no processes but its own, no `/proc`,
no devices but `/dev/null` and `/dev/urandom`, and of the disk only the system's programs and
Python, read-only. 16 MB in `/tmp` are all that it can write. A filter lets only those system calls
through that calculating and such files need: none that starts a process, opens a socket, or makes
memory that no limit counts.
"""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from firstwords.common.packages import install_command

MEMORY_BYTES = 512 << 20
FILE_BYTES = 16 << 20
MAX_OPEN_FILES = 64
MAX_THREADS = 64
SYSTEM_DIRECTORIES = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
DEVICES = ("/dev/null", "/dev/urandom")
SCRIPT = Path(__file__).with_name("inside.py")
SCRIPT_INSIDE = "/inside.py"

UNKNOWN_CALL = -1  # to this version of libseccomp
CLONE_THREAD = 0x00010000  # linux/sched.h
LIMITED_CALLS = {  # by their second argument
    "ioctl": (
        0x5401,
        0x5450,
        0x5451,
    ),  # TCGETS, FIONCLEX, FIOCLEX: Python asks when it opens a file
    "fcntl": (0, 1, 2, 3, 4, 1030),  # copies and flags, but neither locks nor leases
}
ALLOWED_CALLS = """
execve exit exit_group restart_syscall arch_prctl set_tid_address set_robust_list rseq uname
brk mmap munmap mremap mprotect madvise
open openat close close_range dup dup2 dup3 lseek
read readv pread64 preadv write writev pwrite64 pwritev fsync fdatasync truncate ftruncate
access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs
readlink readlinkat getdents getdents64 getcwd chdir fchdir umask
mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2
getpid getppid gettid getpgrp getpgid getsid getuid geteuid getgid getegid getgroups
getrlimit prlimit64 getrusage times sysinfo getrandom getcpu
futex sched_yield sched_getaffinity sched_getparam sched_getscheduler
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack
kill tkill tgkill pause alarm getitimer setitimer
time gettimeofday clock_gettime clock_getres nanosleep clock_nanosleep
poll ppoll select pselect6
wait4 waitid
"""


@cache
def unavailable_reason() -> str:
    """Return why this machine cannot isolate programs; empty if it can."""
    if not sys.platform.startswith("linux"):
        return "isolating programs needs Linux"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (on Debian and Ubuntu: apt install bubblewrap)"
    try:
        _seccomp_program()
    except ModuleNotFoundError:
        return f"pyseccomp is not installed (run: {install_command('firstwords[eval]')})"
    except (ImportError, OSError, RuntimeError) as error:
        return (
            f"libseccomp is not installed (on Debian and Ubuntu: apt install libseccomp2; {error})"
        )
    with seccomp_filter() as seccomp:
        command = [*_bubblewrap(seccomp), _python(), "-I", "-c", ""]
        trial = subprocess.run(command, capture_output=True, text=True, pass_fds=(seccomp,))
    if trial.returncode:
        last_line = "".join(trial.stderr.splitlines()[-1:])
        return f"bubblewrap does not work on this machine ({last_line[:200]})"
    return ""


def inside_command(role: str, pipe_ends: tuple[int, int], seccomp: int | None) -> list[str]:
    """Return the command that runs a role of `inside.py`: isolated, with the descriptor of the
    filter, or for None as the user."""
    python = [_python(), "-I"]
    if role == "driver":
        python.append("-S")  # tests need no installed packages, which take time to find
    ends = [str(end) for end in pipe_ends]
    if seccomp is None:
        return [*python, str(SCRIPT), role, *ends, "0"]
    return [*_bubblewrap(seccomp), *python, SCRIPT_INSIDE, role, *ends, str(MAX_THREADS)]


def limited(command: list[str], seconds: float, group: Path | None) -> list[str]:
    """Return the command under limits on processor time, memory and files, without core dumps, as
    a member of the control group. Every POSIX shell can do that."""
    blocks, kilobytes = FILE_BYTES // 512, MEMORY_BYTES // 1024
    join = 'echo $$ > "$0/cgroup.procs"; ' if group else ""
    limits = f"ulimit -c 0; ulimit -t {round(seconds) + 1}; ulimit -f {blocks}; "
    limits += f"ulimit -n {MAX_OPEN_FILES}; "
    memory = f"ulimit -v {kilobytes}; " if sys.platform.startswith("linux") else ""
    return ["/bin/sh", "-c", f'{join}{limits}{memory}exec "$@"', str(group), *command]


@contextmanager
def seccomp_filter() -> Iterator[int]:
    """Yield a pipe that contains the filter of system calls."""
    program = _seccomp_program()  # a few KB, less than a pipe holds
    read_end, write_end = os.pipe()
    os.write(write_end, program)
    os.close(write_end)
    try:
        yield read_end
    finally:
        os.close(read_end)


@cache
def _seccomp_program() -> bytes:
    """Return the filter as the kernel's program. A call that it does not allow seems to be missing
    from the kernel, so that the C library uses an older one."""
    import pyseccomp as seccomp  # loads the system's libseccomp

    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    for name in ALLOWED_CALLS.split():
        number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
        if number != UNKNOWN_CALL:
            rules.add_rule(seccomp.ALLOW, number)
    thread = seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, CLONE_THREAD)
    rules.add_rule(seccomp.ALLOW, "clone", thread)
    for name, requests in LIMITED_CALLS.items():
        for request in requests:
            argument = seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request)
            rules.add_rule(seccomp.ALLOW, name, argument)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _bubblewrap(seccomp: int) -> list[str]:
    """Return the command to put before the isolated one."""
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
    for device in DEVICES:
        options += ["--dev-bind", device, device]
    options += ["--ro-bind", str(SCRIPT), SCRIPT_INSIDE]
    options += ["--size", str(FILE_BYTES), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    options += ["--remount-ro", "/"]  # otherwise memory without a limit
    return ["bwrap", *options, "--seccomp", str(seccomp), "--"]


def _python() -> str:
    """Return the interpreter itself: a virtual environment's is a link, in a directory that the
    sandbox does not contain."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
