"""Fetch the data of the published benchmarks.

Nothing else in evaluation uses the network. Every file is pinned by its revision and its SHA-256; a
file that differs is discarded.
"""

import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

from firstwords.common import files
from firstwords.data.hub import manifest
from firstwords.data.hub.download import DEFAULT_JOBS, RemoteFile, download_files
from firstwords.data.hub.fetch import folder_lock
from firstwords.data.hub.manifest import CorpusManifest, FileEntry
from firstwords.evaluation.blimp_paradigms import PHENOMENA

HUB_URL = "https://huggingface.co/datasets/{}/resolve/{}/{}"
GITHUB_URL = "https://raw.githubusercontent.com/{}/{}/{}"
AI2_ARC = "allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453"
MMLU = "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe"
GSM8K = "openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c"
HUMANEVAL = "openai/human-eval", "6d43fb980f9fee3c892a914eda09951f772ad10d"
BLIMP = "alexwarstadt/blimp", "3e56b06fcabca9b30822fc66435fca6b1aa40bb1"


class BenchmarkSource(NamedTuple):
    """A file on the network. Without `sha256`, the revision in its address pins it."""

    name: str  # file or directory in the folder of the benchmarks' data
    url: str
    sha256: str | None


SOURCES = (
    BenchmarkSource(
        "arc_easy_test.parquet",
        HUB_URL.format(*AI2_ARC, "ARC-Easy/test-00000-of-00001.parquet"),
        "4160597d618ae851c7eb04e281574f3f654776216ac6b6641588d64527b47177",
    ),
    BenchmarkSource(
        "arc_challenge_test.parquet",
        HUB_URL.format(*AI2_ARC, "ARC-Challenge/test-00000-of-00001.parquet"),
        "62f03257e737aed263f55c6abf87c7bb0028a44a6bdd2a26eb1279eb42c1d1e9",
    ),
    BenchmarkSource(
        "mmlu_test.parquet",
        HUB_URL.format(*MMLU, "all/test-00000-of-00001.parquet"),
        "74a41822ce7d3def56e1682f958469c04642a5336a5ce912fa375fdb90fb25d7",
    ),
    BenchmarkSource(
        "mmlu_dev.parquet", HUB_URL.format(*MMLU, "all/dev-00000-of-00001.parquet"), None
    ),
    BenchmarkSource(
        "gsm8k_test.jsonl",
        GITHUB_URL.format(*GSM8K, "grade_school_math/data/test.jsonl"),
        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    ),
    BenchmarkSource(
        "gsm8k_train.jsonl",
        GITHUB_URL.format(*GSM8K, "grade_school_math/data/train.jsonl"),
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    ),
    BenchmarkSource(
        "humaneval.jsonl.gz",
        GITHUB_URL.format(*HUMANEVAL, "data/HumanEval.jsonl.gz"),
        "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    ),
    *(
        BenchmarkSource(
            f"blimp/{paradigm}.jsonl", GITHUB_URL.format(*BLIMP, f"data/{paradigm}.jsonl"), None
        )
        for phenomenon in PHENOMENA.values()
        for paradigm in phenomenon.paradigms
    ),
)
# The 22 tasks of CORE in one archive, published by nanochat.
CORE_ARCHIVE = BenchmarkSource(
    "core",
    "https://karpathy-public.s3.us-west-2.amazonaws.com/eval_bundle.zip",
    "90a7c19e28ee7a52b4f6e1f87658deb9fde7f63deba2379045bdb1fe9ea5d200",
)


def fetch_benchmarks(folder: Path, jobs: int = DEFAULT_JOBS) -> int:
    """Fetch the files that are missing from a folder or damaged, and return their number.

    Files of those names that came from elsewhere are left alone. Raises UserError if a file cannot
    be fetched or is not the pinned one; files fetched before stay.
    """
    with folder_lock(folder):
        fetched = _read_manifest(folder)
        states = manifest.check_files("checking eval", folder, fetched.files)
        intact = {f for f, state in zip(fetched.files, states, strict=True) if state == "intact"}
        missing = [
            source
            for source in (*SOURCES, CORE_ARCHIVE)
            if not _is_present(folder, source, fetched, intact)
        ]
        source_of = {_remote_file(folder, source): source for source in missing}
        download_files(
            "fetching eval",
            list(source_of),
            jobs,
            on_complete=lambda remote: _add_to_manifest(folder, remote, source_of[remote]),
        )
        return len(missing)


def _read_manifest(folder: Path) -> CorpusManifest:
    return manifest.read_manifest(folder) or CorpusManifest(origin="benchmarks", files=())


def _remote_file(folder: Path, source: BenchmarkSource) -> RemoteFile:
    name = ".core.zip" if source is CORE_ARCHIVE else source.name
    return RemoteFile(source.url, folder / name, None, source.sha256)


def _is_present(
    folder: Path, source: BenchmarkSource, fetched: CorpusManifest, intact: set[FileEntry]
) -> bool:
    entries = [file for file in fetched.files if _is_of(file, source)]
    if not entries:
        return (folder / source.name).exists()
    return all(entry in intact for entry in entries)


def _is_of(file: FileEntry, source: BenchmarkSource) -> bool:
    """Return whether a file is the source's, or in its directory."""
    return file.path == source.name or file.path.startswith(f"{source.name}/")


def _add_to_manifest(folder: Path, remote: RemoteFile, source: BenchmarkSource) -> None:
    """Record a downloaded file in the manifest, or unpack an archive and record its files."""
    target = folder / source.name
    if source is CORE_ARCHIVE:
        _unpack(remote.path, target)
        remote.path.unlink()
    fetched = _read_manifest(folder)
    others = [file for file in fetched.files if not _is_of(file, source)]
    paths = [target] if target.is_file() else sorted(p for p in target.rglob("*") if p.is_file())
    entries = [_file_entry(folder, path, source) for path in paths]
    manifest.write_manifest(folder, fetched.replace(files=(*others, *entries)))


def _file_entry(folder: Path, path: Path, source: BenchmarkSource) -> FileEntry:
    name = path.relative_to(folder).as_posix()
    sha256 = files.sha256_file(path)
    return FileEntry(path=name, bytes=path.stat().st_size, sha256=sha256, source=source.url)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the archive's files, whatever its own top directory is called."""
    unpacked = folder.with_name(f".{folder.name}.unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)
    with zipfile.ZipFile(archive) as zip_file:  # extractall never writes outside of its directory
        zip_file.extractall(unpacked)
    (core_yaml,) = unpacked.rglob("core.yaml")
    files.commit_directory(core_yaml.parent, folder)
    shutil.rmtree(unpacked, ignore_errors=True)
