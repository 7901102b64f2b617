"""Fetching the benchmarks' data, from a server of our own."""

import functools
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from firstwords.cli import run_command
from firstwords.data import network
from firstwords.evaluation import fetch
from firstwords.evaluation.fetch import BUNDLE, SOURCES, Source


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def bundle() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("eval_bundle/core.yaml", "icl_tasks: []")
        archive.writestr("eval_bundle/eval_data/a/b.jsonl", "{}")
    return content.getvalue()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served; what it holds is what is to be fetched."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{http.server_address[1]}"
        content = {"a.jsonl": b"{}\n", "bundle.zip": bundle()}
        digests = {}
        for name, data in content.items():
            (folder / name).write_bytes(data)
            digests[name] = hashlib.sha256(data).hexdigest()
        one = Source("a.jsonl", f"{address}/a.jsonl", digests["a.jsonl"])
        free = Source("free.jsonl", f"{address}/a.jsonl", None)
        core = Source("core", f"{address}/bundle.zip", digests["bundle.zip"])
        monkeypatch.setattr(fetch, "SOURCES", (one, free))
        monkeypatch.setattr(fetch, "BUNDLE", core)
        monkeypatch.setattr(network, "FIRST_WAIT", 0.01)
        yield folder
        http.shutdown()


def names(folder: Path) -> set[str]:
    """The data, without what is written about it."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if name != "contents.json" and not name.startswith(".")}


ALL = {"a.jsonl", "free.jsonl", "core/core.yaml", "core/eval_data/a/b.jsonl"}


def test_everything_is_fetched_once(server: Path, tmp_path: Path) -> None:
    assert fetch.fetch(tmp_path / "eval") == 3
    assert names(tmp_path / "eval") == ALL
    (server / "a.jsonl").unlink()
    assert fetch.fetch(tmp_path / "eval") == 0


def test_what_was_fetched_is_kept_whole(server: Path, home: Path) -> None:
    fetch.fetch(home / "eval")
    (home / "eval" / "core" / "core.yaml").write_text("half")
    (home / "eval" / "a.jsonl").unlink()
    assert run_command(["data", "verify", "eval"]) == 1
    assert fetch.fetch(home / "eval") == 2
    assert (home / "eval" / "core" / "core.yaml").read_text() == "icl_tasks: []"
    assert run_command(["data", "verify", "eval"]) == 0


def test_what_somebody_else_put_there_is_left_alone(server: Path, tmp_path: Path) -> None:
    (tmp_path / "eval" / "core").mkdir(parents=True)
    (tmp_path / "eval" / "core" / "core.yaml").write_text("mine")
    assert fetch.fetch(tmp_path / "eval") == 2
    assert fetch.fetch(tmp_path / "eval") == 0
    assert (tmp_path / "eval" / "core" / "core.yaml").read_text() == "mine"


def test_a_file_that_is_not_the_pinned_one_is_not_kept_and_the_rest_is(
    server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (server / "bundle.zip").write_bytes(bundle() + b"x")
    command = ["data", "fetch", "eval", "--out", str(tmp_path / "eval")]
    assert run_command(command) == 2
    assert "not the file that was pinned" in capsys.readouterr().err
    assert names(tmp_path / "eval") == {"a.jsonl", "free.jsonl"}
    (server / "bundle.zip").write_bytes(bundle())
    assert run_command(command) == 0
    assert "1 files fetched" in capsys.readouterr().err
    assert names(tmp_path / "eval") == ALL


def test_what_cannot_be_reached_is_named_with_the_mend(
    server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (server / "a.jsonl").unlink()
    assert run_command(["data", "fetch", "eval", "--out", str(tmp_path / "eval")]) == 2
    said = capsys.readouterr().err
    assert "a.jsonl" in said
    assert "not there any more" in said
    assert names(tmp_path / "eval") == set()


def test_the_real_ones_are_pinned_by_revision_and_checksum() -> None:
    for source in (*SOURCES, BUNDLE):
        assert source.url.startswith("https://")
        assert source.sha256 is None or len(source.sha256) == 64
    assert [source.name for source in SOURCES if source.sha256 is None] == ["mmlu_dev.parquet"]
