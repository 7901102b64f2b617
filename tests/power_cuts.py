"""Disks that lose what was not flushed: a simulated one, and a loop device that is shut down."""

import fcntl
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What becomes of an inode's changes since its last fsync.
LOST, KEPT, ZEROED = FATES = "lost", "kept", "zeroed"  # zeroed: a file's size is kept, not its data


class SimulatedDisk:
    """Remembers what every fsync below `root` makes durable, and restores what survives a cut.

    `os.fsync` is the only thing it replaces: a name is durable when its directory was flushed
    after, content when its file was. `on_sync` is called before each, when most is unflushed.
    """

    def __init__(self, root: Path) -> None:
        self.on_sync: Callable[[], object] = lambda: None
        self.n_syncs = 0
        self._inodes: dict[int, Inode] = {}
        self._lock = threading.RLock()  # checkpoints are written in a thread
        self._root = self._inode(root)

    def fsync(self, descriptor: int) -> None:
        with self._lock:
            self.n_syncs += 1
            self.on_sync()
            inode = self._inode(Path(f"/proc/self/fd/{descriptor}"))
            if inode.is_directory:
                inode.synced_names = self._names(inode)
            else:
                inode.synced_content = inode.content()

    def survivors(self, target: Path, fate: Callable[[], str]) -> Path:
        """Write what survives a cut at this moment below `target`; `fate` is drawn per inode."""
        with self._lock:
            self._restore(self._root, target, fate)
        return target

    def close(self) -> None:
        for inode in self._inodes.values():
            os.close(inode.descriptor)

    def _restore(self, inode: "Inode", target: Path, fate: Callable[[], str]) -> None:
        drawn = fate()
        if inode.is_directory:
            target.mkdir(parents=True)
            names = inode.synced_names if drawn == LOST else self._names(inode)
            for name, child in names.items():
                self._restore(child, target / name, fate)
        elif drawn == KEPT:
            target.write_bytes(inode.content())
        else:
            lost = len(inode.content()) - len(inode.synced_content)
            target.write_bytes(inode.synced_content + b"\0" * (lost * (drawn == ZEROED)))

    def _names(self, directory: "Inode") -> dict[str, "Inode"]:
        names = {}
        for path in Path(f"/proc/self/fd/{directory.descriptor}").iterdir():
            with suppress(FileNotFoundError):  # removed meanwhile, by another thread
                names[path.name] = self._inode(path)
        return names

    def _inode(self, path: Path) -> "Inode":
        number = path.stat().st_ino
        if number not in self._inodes:
            self._inodes[number] = Inode(path)
        return self._inodes[number]


class Inode:
    """A file or directory, held open so that its number stays its own, and its durable state."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        self.is_directory = stat.S_ISDIR(os.fstat(self.descriptor).st_mode)
        self.synced_content = b""
        self.synced_names: dict[str, Inode] = {}

    def content(self) -> bytes:
        return os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0)


EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2  # also lose what is in the journal's buffers


class LoopDevice:
    """An ext4 file system in a file, mounted at `path`, whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "mounted"
        self._image = folder / "disk0.img"
        with self._image.open("wb") as image:
            image.truncate(64 << 20)
        self.path.mkdir()
        _run("mkfs.ext4", "-q", "-F", self._image)
        self._mount()

    def flush(self) -> None:
        _run("sync", "--file-system", self.path)

    def cut_power(self) -> None:
        """Lose everything that was not flushed. Writing fails until `restart`."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def restart(self) -> None:
        """Mount a copy of what is on the device: another process's mount namespace may hold it."""
        self.unmount()
        before, number = self._image, int(self._image.stem.removeprefix("disk")) + 1
        self._image = self.folder / f"disk{number}.img"
        _run("cp", "--sparse=always", before, self._image)
        before.unlink()
        self._mount()

    def unmount(self) -> None:
        _run("umount", "--lazy", self.path)

    def _mount(self) -> None:
        _run("mount", "-o", "loop", self._image, self.path)


@contextmanager
def loop_device() -> Iterator[LoopDevice]:
    """Yield a mounted loop device. Raises OSError that says why this machine does not permit it."""
    if os.geteuid() != 0:
        raise OSError("only root can mount a loop device")
    if shutil.which("mkfs.ext4") is None:
        raise OSError("mkfs.ext4 is not installed")
    with tempfile.TemporaryDirectory() as folder:
        device = LoopDevice(Path(folder))
        try:
            yield device
        finally:
            device.unmount()


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {done.stderr.strip()}")
