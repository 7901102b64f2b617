"""Fetching the benchmarks' data from a server on localhost."""

import functools
import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from firstwords.cli.main import run_command
from firstwords.data.hub import network
from firstwords.evaluation import fetch
from firstwords.evaluation.blimp_paradigms import PHENOMENA
from firstwords.evaluation.fetch import CORE_ARCHIVE, SOURCES, BenchmarkSource, fetch_benchmarks


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def core_archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in (("core.yaml", "icl_tasks: []"), ("eval_data/a/b.jsonl", "{}")):
            # Without a date the entry would have the time of day, and the archive another digest.
            archive.writestr(zipfile.ZipInfo(f"eval_bundle/{name}", (2026, 1, 1, 0, 0, 0)), text)
    return content.getvalue()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files are served and are the ones to fetch."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{http.server_address[1]}"
        content = {"a.jsonl": b"{}\n", "bundle.zip": core_archive()}
        digests = {}
        for name, data in content.items():
            (folder / name).write_bytes(data)
            digests[name] = hashlib.sha256(data).hexdigest()
        first = BenchmarkSource("a.jsonl", f"{address}/a.jsonl", digests["a.jsonl"])
        unpinned = BenchmarkSource("some/unpinned.jsonl", f"{address}/a.jsonl", None)
        core = BenchmarkSource("core", f"{address}/bundle.zip", digests["bundle.zip"])
        monkeypatch.setattr(fetch, "SOURCES", (first, unpinned))
        monkeypatch.setattr(fetch, "CORE_ARCHIVE", core)
        monkeypatch.setattr(network, "FIRST_DELAY", 0.01)
        yield folder
        http.shutdown()


def names(folder: Path) -> set[str]:
    """Return the names of the data files, without the manifest and hidden files."""
    paths = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in paths if name != "contents.json" and not name.startswith(".")}


ALL = {"a.jsonl", "some/unpinned.jsonl", "core/core.yaml", "core/eval_data/a/b.jsonl"}


def test_files_are_fetched_once(server: Path, tmp_path: Path) -> None:
    assert fetch_benchmarks(tmp_path / "eval") == 3
    assert names(tmp_path / "eval") == ALL
    (server / "a.jsonl").unlink()
    assert fetch_benchmarks(tmp_path / "eval") == 0


def test_missing_and_damaged_files_are_fetched_again(server: Path, home: Path) -> None:
    fetch_benchmarks(home / "eval")
    (home / "eval" / "core" / "core.yaml").write_text("partial")
    (home / "eval" / "a.jsonl").unlink()
    assert run_command(["data", "verify", "eval"]) == 1
    assert fetch_benchmarks(home / "eval") == 2
    assert (home / "eval" / "core" / "core.yaml").read_text() == "icl_tasks: []"
    assert run_command(["data", "verify", "eval"]) == 0


def test_files_from_elsewhere_are_left_alone(server: Path, tmp_path: Path) -> None:
    (tmp_path / "eval" / "core").mkdir(parents=True)
    (tmp_path / "eval" / "core" / "core.yaml").write_text("mine")
    assert fetch_benchmarks(tmp_path / "eval") == 2
    assert fetch_benchmarks(tmp_path / "eval") == 0
    assert (tmp_path / "eval" / "core" / "core.yaml").read_text() == "mine"


def test_a_wrong_checksum_discards_only_that_file(
    server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (server / "bundle.zip").write_bytes(core_archive() + b"x")
    command = ["data", "fetch", "eval", "--out", str(tmp_path / "eval")]
    assert run_command(command) == 2
    assert "is not the pinned file" in capsys.readouterr().err
    assert names(tmp_path / "eval") == {"a.jsonl", "some/unpinned.jsonl"}
    (server / "bundle.zip").write_bytes(core_archive())
    assert run_command(command) == 0
    assert "fetched 1 files" in capsys.readouterr().err
    assert names(tmp_path / "eval") == ALL


def test_an_error_names_the_file_that_cannot_be_fetched(
    server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (server / "a.jsonl").unlink()
    assert run_command(["data", "fetch", "eval", "--out", str(tmp_path / "eval")]) == 2
    error = capsys.readouterr().err
    assert "a.jsonl" in error
    assert "it was removed" in error
    assert names(tmp_path / "eval") == set()


def test_the_real_sources_are_pinned() -> None:
    for source in (*SOURCES, CORE_ARCHIVE):
        assert source.url.startswith("https://")
        assert source.sha256 is None or len(source.sha256) == 64
    unpinned = {source.name for source in SOURCES if source.sha256 is None}
    paradigms = {f"blimp/{paradigm}.jsonl" for p in PHENOMENA.values() for paradigm in p.paradigms}
    assert unpinned == {"mmlu_dev.parquet", *paradigms}
    for source in SOURCES:  # their address has a commit
        assert re.search(r"/[0-9a-f]{40}/", source.url)
