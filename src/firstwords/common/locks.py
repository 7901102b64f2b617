"""Locks between processes. Needs no torch."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock

from firstwords.common import console

# What `flock` answers on file systems without locks, such as some network and FUSE mounts. A lock
# file whose presence is the lock would work there, but would stay after a kill or a power cut.
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO)
# `is_locked` holds a lock for microseconds, which must not stop a command that starts just then.
PROBE_SECONDS = 0.1


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, or go without one after a note if its file system has none.

    Raises filelock.Timeout if another process holds it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(FileLock(path, timeout=PROBE_SECONDS))
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            console.warn(
                f"{path.parent} cannot be locked ({error.strerror}); "
                "do not run two commands that write to it at the same time"
            )
        yield


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file. False if the file does not exist or its
    file system has no locks."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)  # releases the lock
    return False
