"""Pack what a run needs into one archive, for a machine without internet.

An archive starts with a manifest of its files, their sizes and their SHA-256. The files have the
paths that they will have in $FIRSTWORDS_HOME of the other machine, and are sorted, so the same
files give the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from firstwords import __version__
from firstwords.bundle import archive
from firstwords.bundle.archive import Member, Writable
from firstwords.bundle.collect import BundleContents, BundleItem
from firstwords.bundle.manifest import (
    BUNDLE_CHECKSUM,
    BUNDLE_MANIFEST,
    BundleFile,
    BundleManifest,
)
from firstwords.common import console, files
from firstwords.common.errors import UserError
from firstwords.data.hub import manifest
from firstwords.data.hub.catalogue import EVAL
from firstwords.data.hub.fetch import check_disk_space
from firstwords.data.mixing import SourceSpec
from firstwords.runs import registry
from firstwords.runs.manifest import Sources


class BundleRequest(NamedTuple):
    """The options of `data bundle`. Without `sources`, the text and conversations that a run was
    trained on are left out, as in `runs export`."""

    out: Path
    run: str | None = None
    data: SourceSpec | None = None
    chat_data: SourceSpec | None = None
    eval: bool = False
    sources: bool = True


def create_bundle(request: BundleRequest) -> BundleManifest:
    """Write an archive. Raises UserError if something is missing or damaged."""
    out = request.out
    if not out.name.endswith(archive.ARCHIVE_SUFFIXES):
        suffixes = " or ".join(archive.ARCHIVE_SUFFIXES)
        raise UserError(f"{out} has an unknown file type", f"use a name with {suffixes}")
    with _collected(request) as (contents, bundle):
        if not contents.items:
            raise UserError(
                "there is nothing to pack, since the starter curriculum has no files",
                "give --run, --eval, or corpora with --data or --chat-data",
            )
        check_disk_space(out.absolute().parent, bundle.bytes)
        is_compressed = out.suffix == ".zst"
        with (
            files.atomic_writer(out) as file,
            archive.archive_writer(file, is_compressed) as stream,
        ):
            _write(stream, bundle, contents.sorted())
    return bundle


@contextmanager
def _collected(request: BundleRequest) -> Iterator[tuple[BundleContents, BundleManifest]]:
    """Collect the files, and keep the run locked until the block ends."""
    if request.run is None:
        yield _collect(request)
        return
    with registry.lock_run(registry.open_run(request.run).name):
        yield _collect(request)


def _collect(request: BundleRequest) -> tuple[BundleContents, BundleManifest]:
    if request.run is not None and not request.sources:
        contents, run = BundleContents(), registry.open_run(request.run)
        contents.add_run(run, run.manifest.sources)
        return contents, _list_files(contents, run=run.name)
    contents, with_eval = BundleContents(), request.eval
    data, chat_data = request.data, request.chat_data
    if request.run is not None:
        run = registry.open_run(request.run)
        data, chat_data = run.manifest.sources.data, run.manifest.sources.chat_data
        with_eval = with_eval or (run.recipe.benchmark_items > 0 and _eval_was_fetched())
    text, chat = contents.add_source(data, "--data"), contents.add_source(chat_data, "--chat-data")
    if request.run is not None:
        contents.add_run(run, Sources(data=text or "starter", chat_data=chat or "starter"))
    if with_eval:
        contents.add_fetched(EVAL)
    return contents, _list_files(contents, run=request.run, data=text, chat_data=chat)


def _list_files(contents: BundleContents, **fields: Any) -> BundleManifest:
    """Return the manifest of these files, with the given fields."""
    bundle_files = [
        BundleFile(path=item.path, bytes=item.bytes, sha256=item.sha256)
        for item in contents.hashed()
    ]
    return BundleManifest(firstwords=__version__, files=tuple(bundle_files), **fields)


def _eval_was_fetched() -> bool:
    was_fetched = manifest.read_manifest(manifest.corpus_folder(EVAL)) is not None
    if not was_fetched:
        console.warn("the benchmarks' data that the run evaluates on was not fetched: not packed")
    return was_fetched


def _write(stream: Writable, bundle: BundleManifest, items: list[BundleItem]) -> None:
    text = files.json_text(bundle.model_dump(exclude_none=True)).encode()
    checksum = f"{hashlib.sha256(text).hexdigest()}  {BUNDLE_MANIFEST}\n".encode()
    for name, content in ((BUNDLE_MANIFEST, text), (BUNDLE_CHECKSUM, checksum)):
        _write_item(stream, BundleItem(name, content), lambda size: None)
    with console.progress("packing", bundle.bytes / 1e6, "MB") as meter:
        for item in items:
            _write_item(stream, item, lambda size: meter.advance(size / 1e6))


def _write_item(stream: Writable, item: BundleItem, advance: Callable[[int], None]) -> None:
    """Write a file. Raises UserError if its SHA-256 is not the recorded one."""
    member = Member(item.path, item.bytes)
    archive.write_header(stream, member)
    digest, remaining = hashlib.sha256(), member.size
    with item.open() as file:
        while remaining and (chunk := file.read(min(remaining, archive.CHUNK_BYTES))):
            stream.write(chunk)
            digest.update(chunk)
            remaining -= len(chunk)
            advance(len(chunk))
    if remaining or (item.sha256 and digest.hexdigest() != item.sha256):
        raise UserError(f"{item.path} has changed since it was fetched or read", item.hint)
    archive.write_padding(stream, member)
