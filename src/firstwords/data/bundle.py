"""Pack all that a run needs into one archive, for a machine without internet.

An archive begins with a manifest of its files, their sizes and their SHA-256. They stand in it as
they will in the other machine's $FIRSTWORDS_HOME, sorted; the same files make the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from firstwords import __version__, console, files
from firstwords import run as runs
from firstwords.data import archive, contents
from firstwords.data.archive import Member, Writable
from firstwords.data.catalogue import EVAL
from firstwords.data.contents import SafePath, Sha256
from firstwords.data.fetch import check_disk
from firstwords.data.packing import Item, Packing, in_a_unit, unit_of
from firstwords.errors import UserError
from firstwords.recipe import Fixed

MANIFEST = "firstwords-bundle.json"
MANIFEST_SUM = "firstwords-bundle.sha256"


class BundleFile(Fixed):
    path: Annotated[SafePath, AfterValidator(in_a_unit)]  # in $FIRSTWORDS_HOME
    bytes: int = Field(ge=0)
    sha256: Sha256

    @property
    def unit(self) -> str:
        return unit_of(self.path)


class Manifest(Fixed):
    """firstwords-bundle.json: what `train` would be told there, and the files."""

    format: Literal[1] = 1
    firstwords: str
    run: str | None = None
    data: str | None = None
    chat_data: str | None = None
    files: tuple[BundleFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class Request(NamedTuple):
    """The options of `data bundle`."""

    out: Path
    run: str | None = None
    data: str | None = None
    chat_data: str | None = None
    eval: bool = False


def bundle(request: Request) -> Manifest:
    """Write the archive. Raises UserError if something is missing or damaged."""
    out = request.out
    if not out.name.endswith(archive.ENDINGS):
        raise UserError(f"--out {out}", f"use a name that ends in {' or '.join(archive.ENDINGS)}")
    with _packed(request) as (packing, manifest):
        if not packing.items:
            raise UserError(
                "nothing to pack: the starter curriculum needs no files",
                "name a --run, or corpora with --data or --chat-data, or give --eval",
            )
        check_disk(out.absolute().parent, manifest.bytes)
        with files.replacing(out) as file, archive.written(file, out.suffix == ".zst") as stream:
            write(stream, manifest, packing.sorted())
    return manifest


@contextmanager
def _packed(request: Request) -> Iterator[tuple[Packing, Manifest]]:
    """What is to be packed, while nobody works on the run."""
    if request.run is None:
        yield _pack(request)
        return
    with runs.locked(runs.open_run(request.run).name):
        yield _pack(request)


def _pack(request: Request) -> tuple[Packing, Manifest]:
    packing, with_eval = Packing(), request.eval
    data, chat_data = request.data, request.chat_data
    if request.run is not None:
        run = runs.open_run(request.run)
        data, chat_data = run.manifest.sources.data, run.manifest.sources.chat_data
        with_eval = with_eval or (run.recipe.benchmark_items > 0 and _eval_was_fetched())
    text, chat = packing.add_source(data, "--data"), packing.add_source(chat_data, "--chat-data")
    if request.run is not None:
        packing.add_run(run, runs.Sources(data=str(text), chat_data=str(chat)))
    if with_eval:
        packing.add_named(EVAL)
    listed = [BundleFile(path=i.path, bytes=i.bytes, sha256=i.sha256) for i in packing.hashed()]
    return packing, Manifest(
        firstwords=__version__, run=request.run, data=text, chat_data=chat, files=tuple(listed)
    )


def _eval_was_fetched() -> bool:
    fetched = contents.read(contents.folder_of(EVAL)) is not None
    if not fetched:
        console.warn("the run takes benchmarks whose data was not fetched here: it is not packed")
    return fetched


def write(stream: Writable, manifest: Manifest, items: list[Item]) -> None:
    text = files.json_text(manifest.model_dump(exclude_none=True)).encode()
    sum_line = f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n".encode()
    for name, content in ((MANIFEST, text), (MANIFEST_SUM, sum_line)):
        _add(stream, Item(name, content), lambda size: None)
    with console.progress("packing", manifest.bytes / 1e6, "MB") as meter:
        for item in items:
            _add(stream, item, lambda size: meter.advance(size / 1e6))


def _add(stream: Writable, item: Item, advance: Callable[[int], None]) -> None:
    """The file as it was when it was fetched, or when its SHA-256 was taken a minute ago."""
    member = Member(item.path, item.bytes)
    archive.write_header(stream, member)
    digest, left = hashlib.sha256(), member.size
    with item.open() as file:
        while left and (piece := file.read(min(left, archive.CHUNK))):
            stream.write(piece)
            digest.update(piece)
            left -= len(piece)
            advance(len(piece))
    if left or (item.sha256 and digest.hexdigest() != item.sha256):
        raise UserError(f"{item.path} is not what it was when it was fetched", item.mend)
    archive.write_padding(stream, member)
