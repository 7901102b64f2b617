"""Fetch the benchmarks' data: all of evaluation that uses the network, and only when asked.

Every file is pinned by its revision and by the SHA-256 of its bytes; one that differs is not kept.
"""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from firstwords import files
from firstwords.data import contents
from firstwords.data.contents import Contents, FileEntry
from firstwords.data.download import JOBS, Wanted, download
from firstwords.data.fetch import locked

HUB = "https://huggingface.co/datasets/{}/resolve/{}/{}"
GITHUB = "https://raw.githubusercontent.com/{}/{}/{}"
AI2_ARC = "allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453"
MMLU = "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe"
GSM8K = "openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c"
HUMANEVAL = "openai/human-eval", "6d43fb980f9fee3c892a914eda09951f772ad10d"


class Source(NamedTuple):
    """A file on the network. `sha256` None: the revision in its address is what pins it."""

    name: str  # in the folder of evaluation data
    url: str
    sha256: str | None


SOURCES = (
    Source(
        "arc_easy_test.parquet",
        HUB.format(*AI2_ARC, "ARC-Easy/test-00000-of-00001.parquet"),
        "4160597d618ae851c7eb04e281574f3f654776216ac6b6641588d64527b47177",
    ),
    Source(
        "arc_challenge_test.parquet",
        HUB.format(*AI2_ARC, "ARC-Challenge/test-00000-of-00001.parquet"),
        "62f03257e737aed263f55c6abf87c7bb0028a44a6bdd2a26eb1279eb42c1d1e9",
    ),
    Source(
        "mmlu_test.parquet",
        HUB.format(*MMLU, "all/test-00000-of-00001.parquet"),
        "74a41822ce7d3def56e1682f958469c04642a5336a5ce912fa375fdb90fb25d7",
    ),
    Source("mmlu_dev.parquet", HUB.format(*MMLU, "all/dev-00000-of-00001.parquet"), None),
    Source(
        "gsm8k_test.jsonl",
        GITHUB.format(*GSM8K, "grade_school_math/data/test.jsonl"),
        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    ),
    Source(
        "gsm8k_train.jsonl",
        GITHUB.format(*GSM8K, "grade_school_math/data/train.jsonl"),
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    ),
    Source(
        "humaneval.jsonl.gz",
        GITHUB.format(*HUMANEVAL, "data/HumanEval.jsonl.gz"),
        "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    ),
)
# The 22 tasks of CORE in one archive, as nanochat publishes it.
BUNDLE = Source(
    "core",
    "https://karpathy-public.s3.us-west-2.amazonaws.com/eval_bundle.zip",
    "90a7c19e28ee7a52b4f6e1f87658deb9fde7f63deba2379045bdb1fe9ea5d200",
)


def fetch(folder: Path, jobs: int = JOBS) -> int:
    """Fetch what is not in `folder` yet, or not whole; return how many files that were. What
    somebody else put there under such a name is left alone. Raises UserError if a file cannot be
    had or is not what it should be; what was fetched before stays."""
    with locked(folder):
        recorded = contents.read(folder) or Contents(origin="benchmarks", files=())
        states = contents.states("checking eval", folder, recorded.files)
        whole = {f for f, state in zip(recorded.files, states, strict=True) if state == "whole"}
        missing = [s for s in (*SOURCES, BUNDLE) if not _is_there(folder, s, recorded, whole)]
        addresses = {
            Wanted(s.url, folder / (".core.zip" if s is BUNDLE else s.name), None, s.sha256): s
            for s in missing
        }
        download("fetching eval", list(addresses), jobs, on_done=_recorder(folder, addresses))
        return len(missing)


def _is_there(folder: Path, source: Source, recorded: Contents, whole: set[FileEntry]) -> bool:
    ours = [file for file in recorded.files if file.path.split("/")[0] == source.name]
    return all(file in whole for file in ours) if ours else (folder / source.name).exists()


def _recorder(folder: Path, addresses: dict[Wanted, Source]) -> Callable[[Wanted], None]:
    """Unpacks what is packed, and writes down what has come."""

    def record(done: Wanted) -> None:
        source = addresses[done]
        if source is BUNDLE:
            _unpack(done.path, folder / source.name)
            done.path.unlink()
        there = contents.read(folder) or Contents(origin="benchmarks", files=())
        others = [file for file in there.files if file.path.split("/")[0] != source.name]
        at = folder / source.name
        new = [at] if at.is_file() else sorted(p for p in at.rglob("*") if p.is_file())
        entries = [_entry(folder, path, source) for path in new]
        contents.write(folder, there.model_copy(update={"files": (*others, *entries)}))

    return record


def _entry(folder: Path, path: Path, source: Source) -> FileEntry:
    name = path.relative_to(folder).as_posix()
    sha256 = files.sha256_of(path)
    return FileEntry(path=name, bytes=path.stat().st_size, sha256=sha256, source=source.url)


def _unpack(archive: Path, folder: Path) -> None:
    """The bundle's files, whatever the archive's own folder is called."""
    aside = folder.with_name(f".{folder.name}.unpacked")
    shutil.rmtree(aside, ignore_errors=True)
    with zipfile.ZipFile(archive) as opened:  # never writes outside of the folder it is given
        opened.extractall(aside)
    (found,) = aside.rglob("core.yaml")
    if folder.exists():
        files.remove_directory(folder)
    found.parent.replace(folder)
    shutil.rmtree(aside, ignore_errors=True)
