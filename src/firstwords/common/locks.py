"""Locks between processes. Needs no torch."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock

from firstwords.common import console

# What `flock` answers on file systems without locks, such as some network and FUSE mounts. A lock
# file whose presence is the lock would work there, but would stay after a kill or a power cut.
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, or go without one after a note if its file system has none.

    Raises filelock.Timeout if another process holds it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(FileLock(path, timeout=0))
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            console.warn(
                f"{path.parent} cannot be locked ({error.strerror}); "
                "do not run two commands that write to it at the same time"
            )
        yield
