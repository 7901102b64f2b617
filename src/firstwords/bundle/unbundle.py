"""Unpack a bundle, after checking every file.

Everything is first unpacked into a temporary directory, by the archive's own manifest and in its
order. Any file that is not in the manifest, or differs from it, stops that, and nothing has
changed. Then whole directories are renamed into place: corpora, the benchmarks' data, runs.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from firstwords.bundle import archive
from firstwords.bundle.archive import Member, Readable
from firstwords.bundle.manifest import (
    BUNDLE_CHECKSUM,
    BUNDLE_MANIFEST,
    BundleFile,
    BundleManifest,
)
from firstwords.common import console, files, paths
from firstwords.common.errors import DamagedFile, UserError
from firstwords.data.hub.fetch import check_disk_space, folder_lock
from firstwords.runs import registry

MAX_MANIFEST_BYTES = 256 << 20  # a file takes about 200 of them
MAX_CHECKSUM_BYTES = 1_000
UNPACK_DIRECTORY = f"{files.TEMPORARY}unbundle"


class UnpackResult(NamedTuple):
    """The units (data/NAME, eval, runs/NAME) of a bundle, unpacked now or present before."""

    manifest: BundleManifest
    home: Path
    new: list[str]
    existing: list[str]


def unpack_bundle(path: Path, run_name: str | None = None) -> UnpackResult:
    """Check a bundle and unpack it into $FIRSTWORDS_HOME, its run under another name if one is
    given.

    Raises UserError, without unpacking anything, if the archive is damaged or would overwrite other
    data.
    """
    if run_name is not None:
        registry.check_name(run_name)
    if not path.is_file():
        raise UserError(f"{path} does not exist", "give the path of a bundle")
    home = paths.home()
    unpacked = home / UNPACK_DIRECTORY
    with folder_lock(home):
        shutil.rmtree(unpacked, ignore_errors=True)
        try:
            with archive.archive_reader(path) as stream:
                manifest = read_bundle_manifest(stream)
                targets = _targets(home, manifest, run_name)
                new, existing = _compare_units(targets, manifest)
                check_disk_space(home, manifest.bytes)
                _unpack(stream, manifest, unpacked)
            for unit in new:
                _move_into_place(unpacked / unit, targets[unit])
        except (DamagedFile, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise UserError(
                f"{path} is damaged or not a bundle of Firstwords: {error}",
                "nothing was unpacked; copy or create it again",
            ) from None
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
    return UnpackResult(manifest, home, new, existing)


def read_bundle_manifest(stream: Readable) -> BundleManifest:
    """Read and check the manifest at the start of an archive. Raises DamagedFile."""
    text = _read_small_file(stream, BUNDLE_MANIFEST, MAX_MANIFEST_BYTES)
    checksum = _read_small_file(stream, BUNDLE_CHECKSUM, MAX_CHECKSUM_BYTES)
    digest = checksum.split(b" ")[0].decode(errors="replace")
    if hashlib.sha256(text).hexdigest() != digest:
        raise DamagedFile(f"{BUNDLE_MANIFEST} does not match its checksum")
    try:
        manifest = BundleManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise DamagedFile(f"{BUNDLE_MANIFEST}, {field}: {first['msg']}") from None
    names = [file.path for file in manifest.files]
    parents = {name.rsplit("/", n)[0] for name in names for n in range(1, name.count("/") + 1)}
    if len(set(names)) < len(names) or parents & set(names):
        raise DamagedFile(f"{BUNDLE_MANIFEST} names a path twice")
    return manifest


def _read_small_file(stream: Readable, name: str, max_bytes: int) -> bytes:
    member = archive.read_header(stream)
    if member is None or member.name != name or member.size > max_bytes:
        raise DamagedFile(f"{name} is missing from its place")
    chunks: list[bytes] = []
    archive.read_content(stream, member, chunks.append)
    return b"".join(chunks)


def _unpack(stream: Readable, manifest: BundleManifest, directory: Path) -> None:
    with console.progress("unpacking", manifest.bytes / 1e6, "MB") as meter:
        for file in manifest.files:
            member = archive.read_header(stream)
            if member != Member(file.path, file.bytes):
                raise DamagedFile(f"{file.path} is missing from its place")
            _unpack_file(stream, file, directory, lambda size: meter.advance(size / 1e6))
        if archive.read_header(stream) is not None:
            raise DamagedFile("it has files that its manifest does not list")


def _unpack_file(
    stream: Readable, file: BundleFile, directory: Path, advance: Callable[[int], None]
) -> None:
    digest = hashlib.sha256()
    with files.atomic_writer(directory / file.path) as out:

        def write(chunk: bytes) -> None:
            out.write(chunk)
            digest.update(chunk)
            advance(len(chunk))

        archive.read_content(stream, Member(file.path, file.bytes), write)
    if digest.hexdigest() != file.sha256:
        raise DamagedFile(f"{file.path} does not match its checksum")


def _targets(home: Path, manifest: BundleManifest, run_name: str | None) -> dict[str, Path]:
    """Return where each unit is moved to."""
    units = sorted({file.unit for file in manifest.files})
    renamed = {f"runs/{manifest.run}": f"runs/{run_name}"} if run_name else {}
    return {unit: home / renamed.get(unit, unit) for unit in units}


def _compare_units(
    targets: dict[str, Path], manifest: BundleManifest
) -> tuple[list[str], list[str]]:
    """Return the units to unpack, and those that exist with the same files.

    Raises UserError if a unit would overwrite a different run, or files that the bundle lacks.
    """
    new, existing = [], []
    hint = "remove or rename it, or set FIRSTWORDS_HOME to another directory"
    for unit, target in targets.items():
        prefix = f"{unit}/"
        files_of_unit = (file for file in manifest.files if file.unit == unit)
        sha256s = {file.path.removeprefix(prefix): file.sha256 for file in files_of_unit}
        present = {path.relative_to(target).as_posix(): path for path in _files_in(target)}
        same = [
            name
            for name, path in present.items()
            if name in sha256s and files.sha256_file(path) == sha256s[name]
        ]
        extra = sorted(present.keys() - sha256s.keys())
        if len(same) == len(sha256s):
            existing.append(unit)
        elif unit.startswith("runs/") and present:
            raise UserError(f"{target} exists and differs from the run in the bundle", hint)
        elif extra:
            raise UserError(
                f"{target} has {len(extra)} files that the bundle lacks, such as "
                f"{prefix}{extra[0]}",
                hint,
            )
        else:
            new.append(unit)
    return new, existing


def _files_in(unit: Path) -> list[Path]:
    """Return the files of a unit, without locks and partial downloads."""
    files_below = (path for path in unit.rglob("*") if path.is_file())
    return [path for path in files_below if path.name != "lock" and path.name[0] != "."]


def _move_into_place(unpacked: Path, target: Path) -> None:
    files.make_directory(target.parent)
    files.commit_directory(unpacked, target)


def next_step(manifest: BundleManifest) -> str:
    """Return a line with the command to run after unpacking."""
    if manifest.run:
        return f"to resume the run: firstwords train --run {manifest.run}"
    options = (("--data", manifest.data), ("--chat-data", manifest.chat_data))
    arguments = " ".join(
        f"{option} {one}"
        for option, source in options
        for one in ((source,) if isinstance(source, str) else source or ())
    )
    if arguments:
        return f"to train on it: firstwords train {arguments}"
    return "to run the benchmarks: firstwords eval"
