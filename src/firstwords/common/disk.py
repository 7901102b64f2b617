"""What a disk can refuse: the line that a person reads, and output that can be left out.

Every failure to read or write ends a command with exit code 1, and the run resumes once the cause
is gone: a disk that is full or read-only, a quota, a limit of the size of files, a broken disk.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firstwords.common import console

NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_RESUME = "then run the same command again to resume; nothing is lost"
_UNREACHABLE = (
    "the disk is not reachable",
    f"connect or mount it again, {_RESUME}",
)
FAILURES: dict[int, tuple[str, str]] = {  # by errno: problem, hint
    errno.ENOSPC: ("the disk is full", f"free some space, {_RESUME}"),
    errno.EDQUOT: ("your disk quota is used up", f"delete files or raise the quota, {_RESUME}"),
    errno.EFBIG: (
        "a file reached the size limit",
        f"raise it with ulimit -f unlimited, {_RESUME}",
    ),
    errno.EROFS: ("the disk is read-only", f"make it writable, {_RESUME}"),
    errno.EACCES: ("permission denied", f"change the permissions of the file, {_RESUME}"),
    errno.EPERM: ("permission denied", f"change the permissions of the file, {_RESUME}"),
    errno.EMFILE: ("too many files are open", f"raise the limit with ulimit -n 4096, {_RESUME}"),
    errno.ENFILE: ("too many files are open", f"close other programs, {_RESUME}"),
    errno.EIO: ("the disk is faulty", "check it, then run the same command again to resume"),
    errno.ENODEV: _UNREACHABLE,
    errno.ENXIO: _UNREACHABLE,
    errno.ENOTCONN: _UNREACHABLE,  # a FUSE file system whose process ended
    errno.ESTALE: _UNREACHABLE,  # NFS
}


def explain(error: OSError) -> str | None:
    """Return the line for a failure of the disk; None for any other error."""
    if error.errno == errno.ENOENT and "temporary directory" in str(error.strerror):  # of tempfile
        return (
            "no directory for temporary files is writable; set TMPDIR to one that is, such as "
            "/dev/shm, then run the same command again to resume"
        )
    if error.errno is None and "requested and" in str(error):  # of NumPy, which drops the number
        return (
            f"the disk is full, or a file reached the size limit ({error}); free some space or "
            f"raise the limit with ulimit -f unlimited, {_RESUME}"
        )
    if error.errno not in FAILURES:
        return None
    problem, hint = FAILURES[error.errno]
    return f"{problem} ({error.filename or 'while writing'}); {hint}"


def is_writable(directory: Path) -> bool:
    """Return whether this process may create files in a directory."""
    return os.access(directory, os.W_OK | os.X_OK)


@contextmanager
def optional_output(name: str) -> Iterator[None]:
    """Write output that the command can do without. Where it cannot be written, such as in a
    read-only home or in the place of a directory, a note says so. `name` is a plural."""
    try:
        yield
    except OSError as error:
        if error.errno not in (*NOT_WRITABLE, errno.EISDIR, errno.ENOTDIR):
            raise
        console.warn(f"{name} are not saved ({error.strerror}: {error.filename})")
