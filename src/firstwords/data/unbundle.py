"""Unpack a bundle: every file is checked before any is put in its place.

All of it is first unpacked into a directory aside, by the archive's own list and in its order;
whatever is not on the list, or differs from it, ends that, and nothing has changed. Then whole
directories are renamed into place: a corpus, the benchmarks' data, a run.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from firstwords import console, files, machine
from firstwords.data import archive
from firstwords.data.archive import Member, Readable
from firstwords.data.bundle import MANIFEST, MANIFEST_SUM, BundleFile, Manifest
from firstwords.data.fetch import check_disk, locked
from firstwords.errors import DamagedFile, UserError

LARGEST_MANIFEST = 256 << 20  # bytes; a file takes some 200 of them
ASIDE = f"{files.TEMPORARY}unbundle"


class Unpacked(NamedTuple):
    manifest: Manifest
    home: Path
    new: list[str]  # units
    there: list[str]  # units that were there already


def unbundle(path: Path) -> Unpacked:
    """Raises UserError if the archive is damaged, or would overwrite something else; nothing has
    been unpacked then."""
    if not path.is_file():
        raise UserError(f"{path}", "no such file")
    home = machine.home()
    aside = home / ASIDE
    with locked(home):
        shutil.rmtree(aside, ignore_errors=True)
        try:
            with archive.opened(path) as stream:
                manifest = read_manifest(stream)
                new, there = _sorted_out(home, manifest)
                check_disk(home, manifest.bytes)
                _unpack(stream, manifest, aside)
            for unit in new:
                _put(aside / unit, home / unit)
        except (DamagedFile, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise UserError(
                f"{path} is damaged or no bundle of firstwords ({error})",
                "copy or make it again; nothing has been unpacked",
            ) from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return Unpacked(manifest, home, new, there)


def read_manifest(stream: Readable) -> Manifest:
    text = _read_small(stream, MANIFEST, LARGEST_MANIFEST)
    digest = _read_small(stream, MANIFEST_SUM, 1000).split(b" ")[0].decode(errors="replace")
    if hashlib.sha256(text).hexdigest() != digest:
        raise DamagedFile(f"{MANIFEST} does not match its checksum")
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DamagedFile(f"{MANIFEST}, {place}: {first['msg']}") from None
    paths = [file.path for file in manifest.files]
    inside = {path.rsplit("/", n)[0] for path in paths for n in range(1, path.count("/") + 1)}
    if len(set(paths)) < len(paths) or inside & set(paths):
        raise DamagedFile(f"{MANIFEST} names a file twice")
    return manifest


def _read_small(stream: Readable, name: str, most: int) -> bytes:
    member = archive.read_header(stream)
    if member is None or member.name != name or member.size > most:
        raise DamagedFile(f"{name} is not where it should be")
    pieces: list[bytes] = []
    archive.read_content(stream, member, pieces.append)
    return b"".join(pieces)


def _unpack(stream: Readable, manifest: Manifest, aside: Path) -> None:
    with console.progress("unpacking", manifest.bytes / 1e6, "MB") as meter:
        for file in manifest.files:
            member = archive.read_header(stream)
            if member != Member(file.path, file.bytes):
                raise DamagedFile(f"{file.path} is not where it should be")
            _unpack_file(stream, file, aside, lambda size: meter.advance(size / 1e6))
        if archive.read_header(stream) is not None:
            raise DamagedFile("it holds more than it lists")


def _unpack_file(
    stream: Readable, file: BundleFile, aside: Path, advance: Callable[[int], None]
) -> None:
    digest = hashlib.sha256()
    with files.replacing(aside / file.path) as out:

        def keep(piece: bytes) -> None:
            out.write(piece)
            digest.update(piece)
            advance(len(piece))

        archive.read_content(stream, Member(file.path, file.bytes), keep)
    if digest.hexdigest() != file.sha256:
        raise DamagedFile(f"{file.path} does not match its checksum")


def _sorted_out(home: Path, manifest: Manifest) -> tuple[list[str], list[str]]:
    """The units to be put in place, and those that are there already. Raises UserError where
    something else has a unit's place."""
    new, there = [], []
    for unit in sorted({file.unit for file in manifest.files}):
        listed = {file.path: file for file in manifest.files if file.unit == unit}
        found = {path.relative_to(home).as_posix(): path for path in _files_in(home / unit)}
        same = [p for p in found if p in listed and files.sha256_of(found[p]) == listed[p].sha256]
        if len(same) == len(listed):
            there.append(unit)
        elif unit.startswith("runs/") and found:
            raise UserError(
                f"{home / unit} is here already, and differs from the one in the bundle",
                "remove or rename it, or set FIRSTWORDS_HOME to another directory",
            )
        elif more := sorted(found.keys() - listed.keys()):
            raise UserError(
                f"{home / unit} holds {len(more)} files that the bundle lacks, such as {more[0]}",
                "remove or rename it, or set FIRSTWORDS_HOME to another directory",
            )
        else:
            new.append(unit)
    return new, there


def _files_in(unit: Path) -> list[Path]:
    """All but locks and what is half received."""
    paths = (path for path in unit.rglob("*") if path.is_file())
    return [path for path in paths if path.name != "lock" and not path.name.startswith(".")]


def _put(made: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        files.remove_directory(place)
    made.rename(place)


def next_step(unpacked: Unpacked) -> str:
    manifest = unpacked.manifest
    if manifest.run:
        return f"go on with the run: firstwords train --run {manifest.run}"
    options = (("--data", manifest.data), ("--chat-data", manifest.chat_data))
    said = " ".join(f"{option} {source}" for option, source in options if source)
    if said:
        return f"learn from it: firstwords train {said}"
    return "take the benchmarks: firstwords eval"
