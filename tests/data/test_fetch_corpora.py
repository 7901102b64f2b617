"""Fetching named corpora from a fake hub that drops connections, truncates, lies and is busy."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_hub import REVISION, Fault, Hub, serving
from waiting import LIMIT_SECONDS

from firstwords.cli.main import run_command
from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.data.hub import catalogue, manifest, network
from firstwords.data.hub.catalogue import CatalogueEntry
from firstwords.data.hub.fetch import folder_lock

CATALOGUE = f"""
[tales]
about = "tales"
kind = "text"
repository = "somebody/tales"
revision = "{REVISION}"
train = "data/shard_*.parquet"
held_out = "data/shard_00004.parquet"
shards = 2
all_shards = 4
shard_bytes = 3_000
licence = "CC0"

[floating]
about = "tales without a revision"
kind = "text"
repository = "somebody/tales"
train = "data/shard_*.parquet"
held_out = "data/shard_00004.parquet"
shards = 1
all_shards = 4
shard_bytes = 3_000
licence = "CC0"

[talks]
about = "talks"
kind = "conversations"
repository = "somebody/tales"
revision = "{REVISION}"
train = "talk/train-*.parquet"
held_out = "talk/test-*.parquet"
shards = 1
all_shards = 1
shard_bytes = 3_000
licence = "CC0"
"""


def parquet(**columns: list[Any]) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content, row_group_size=10)
    return content.getvalue()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with five shards of text, and a catalogue that names its corpora."""
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    monkeypatch.setattr(catalogue, "CATALOGUE_PATH", tmp_path / "catalogue.toml")
    monkeypatch.setattr(network, "FIRST_DELAY", 0.01)
    with serving("somebody/tales") as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        for number in range(5):
            words = [f"tale {number} {i} " + "and then " * i for i in range(60)]
            served.files[f"data/shard_{number:05d}.parquet"] = parquet(text=words)
        served.files["notes.txt"] = b"not data"
        yield served


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays between tries, in seconds, recorded instead of slept."""
    recorded: list[float] = []
    real = network.retry_delay

    def retry_delay(error: network.RetryableError, failures: int, url: str) -> float:
        recorded.append(real(error, failures, url))
        return 0.0

    monkeypatch.setattr(network, "retry_delay", retry_delay)
    return recorded


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `firstwords data ...` and return its exit code and output."""

    def run(*arguments: str) -> tuple[int, str]:
        code = run_command(["data", *arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


Run = Callable[..., tuple[int, str]]
FIRST = "data/shard_00000.parquet"
SECOND = "data/shard_00001.parquet"


def names(home: Path, name: str = "tales") -> set[str]:
    return {path.name for path in (home / "data" / name).iterdir() if path.name[0] != "."}


def parts(home: Path) -> list[Path]:
    return list(home.rglob("*.part"))


def assert_complete(hub: Hub, home: Path) -> None:
    """Assert that the default shards are present, byte for byte, and nothing else is."""
    assert names(home) == {
        "contents.json",
        "shard_00000.parquet",
        "shard_00001.parquet",
        "val-shard_00004.parquet",
    }
    for number, name in ((0, "shard_00000"), (1, "shard_00001"), (4, "val-shard_00004")):
        fetched = (home / "data" / "tales" / f"{name}.parquet").read_bytes()
        assert fetched == hub.files[f"data/shard_{number:05d}.parquet"]
    assert parts(home) == []


# --- fetch ----------------------------------------------------------------------------------------


def test_fetch_downloads_a_corpus_once(hub: Hub, home: Path, run: Run) -> None:
    code, output = run("fetch", "tales")
    assert code == 0, output
    assert "3 files" in output
    assert "firstwords train --data hub:tales" in output
    assert_complete(hub, home)
    corpus = corpora.open_corpus("hub:tales", "--data")
    train = set(corpora.texts(corpus, "train", 0))
    held_out = set(corpora.texts(corpus, "val", 0))
    assert {text.split()[1] for text in train} == {"0", "1"}
    assert {text.split()[1] for text in held_out} == {"4"}
    n_requests = len(hub.requests)
    code, output = run("fetch", "tales")
    assert (code, len(hub.requests)) == (0, n_requests)
    assert "0 fetched now" in output


def test_a_fetched_corpus_reads_the_same_as_a_directory(hub: Hub, home: Path, run: Run) -> None:
    assert run("fetch", "tales", "--out", str(home / "elsewhere"))[0] == 0
    run("fetch", "tales")
    named = corpora.open_corpus("hub:tales", "--data")
    folder = corpora.open_corpus(str(home / "elsewhere"), "--data")
    for split in corpora.SPLITS:
        assert list(corpora.texts(named, split, 3)) == list(corpora.texts(folder, split, 3))


def test_more_shards_come_from_the_pinned_revision(hub: Hub, home: Path, run: Run) -> None:
    """A corpus without a revision in the catalogue keeps the revision of its first files."""
    assert run("fetch", "floating")[0] == 0
    hub.requests.clear()
    assert run("fetch", "floating", "--shards", "3")[0] == 0
    assert any(f"/revision/{REVISION}" in request.path for request in hub.requests)
    assert all("main" not in request.path for request in hub.requests)
    assert len(names(home, "floating")) == 5
    assert run("fetch", "floating", "--shards", "2")[0] == 0
    assert len(names(home, "floating")) == 5
    assert run("fetch", "floating", "--shards", "all")[0] == 0
    assert len(names(home, "floating")) == 6


def test_an_interrupted_fetch_can_be_reduced_to_fewer_shards(
    hub: Hub, home: Path, run: Run
) -> None:
    """Shards downloaded before stay."""
    hub.faults["data/shard_00002.parquet"] = [Fault(status=404)]
    assert run("fetch", "tales", "--shards", "all", "--jobs", "1")[0] == 2
    last = home / "data" / "tales" / "shard_00003.parquet"
    last.write_bytes(hub.files["data/shard_00003.parquet"])
    with pytest.raises(UserError, match="is missing"):
        corpora.open_corpus("hub:tales", "--data")
    assert run("fetch", "tales", "--shards", "2")[0] == 0
    assert len(corpora.open_corpus("hub:tales", "--data").files) == 3
    last.unlink()
    assert run("fetch", "tales")[0] == 0  # without --shards: what is pinned
    assert last.exists()


def test_a_folder_that_cannot_be_created_is_an_error(hub: Hub, tmp_path: Path, run: Run) -> None:
    (tmp_path / "file").write_text("in the way")
    code, output = run("fetch", "tales", "--out", str(tmp_path / "file" / "x"))
    assert code == 2
    assert "cannot create the directory" in output


def test_fetched_conversations_are_read(hub: Hub, home: Path, run: Run) -> None:
    """The columns are those of SmolTalk: a list of content and role, and others."""

    def talk(word: str) -> list[dict[str, str]]:
        return [{"content": word, "role": "user"}, {"content": "yes", "role": "assistant"}]

    for split, word in (("train", "ice"), ("test", "fire")):
        hub.files[f"talk/{split}-00000-of-00001.parquet"] = parquet(
            messages=[talk(word)] * 60, source=["x"] * 60
        )
    code, output = run("fetch", "talks")
    assert code == 0
    assert "--chat-data hub:talks" in output
    corpus = corpora.open_corpus("hub:talks", "--chat-data")
    assert next(corpora.conversations(corpus, "train", 0))[0]["content"] == "ice"
    assert next(corpora.conversations(corpus, "val", 0))[0]["content"] == "fire"


def test_invalid_conversations_of_a_fetched_corpus_are_skipped(
    hub: Hub, home: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [{"content": "ice?", "role": "user"}, {"content": "yes", "role": "assistant"}]
    for split in ("train", "test"):
        talks = [good, good[:1], good, [good[1]], [*good, {"content": "x", "role": "tool"}]] * 20
        hub.files[f"talk/{split}-00000-of-00001.parquet"] = parquet(messages=talks)
    run("fetch", "talks")
    corpus = corpora.open_corpus("hub:talks", "--chat-data")
    for _ in range(2):
        splits = [list(corpora.conversations(corpus, split, 0)) for split in corpora.SPLITS]
        assert [len(conversations) for conversations in splits] == [40, 40]
    assert capsys.readouterr().err.count("skipping conversations") == 2  # once for each file
    with pytest.raises(UserError, match="fix or remove"):
        list(corpora.conversations(corpora.open_corpus(str(home / "data"), "--x"), "train", 0))


def test_a_damaged_file_is_fetched_again(hub: Hub, home: Path, run: Run) -> None:
    run("fetch", "tales")
    damaged = home / "data" / "tales" / "shard_00001.parquet"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:50] + b"?" + content[51:])
    hub.requests.clear()
    code, output = run("fetch", "tales")
    assert code == 0
    assert "1 damaged files are fetched again" in output
    assert [request.path.split("/")[-1] for request in hub.requests] == ["shard_00001.parquet"]
    assert_complete(hub, home)


def test_the_users_token_is_sent_to_the_hub(
    hub: Hub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_something")
    run("fetch", "tales")
    assert {request.token for request in hub.requests} == {"Bearer hf_something"}


# --- failures -------------------------------------------------------------------------------------


def test_a_dropped_connection_is_resumed(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[FIRST] = [Fault(stop_after=1000), Fault(stop_after=500), Fault(stop_after=1)]
    assert run("fetch", "tales")[0] == 0
    assert_complete(hub, home)
    ranges = [request.range for request in hub.requests_for(FIRST)]
    assert ranges == [None, "bytes=1000-", "bytes=1500-", "bytes=1501-"]


def test_retries_are_unlimited_while_bytes_arrive(
    hub: Hub, home: Path, run: Run, delays: list[float]
) -> None:
    hub.faults[FIRST] = [Fault(stop_after=100)] * 12
    assert run("fetch", "tales")[0] == 0
    assert_complete(hub, home)


def test_a_server_without_range_requests_restarts_the_file(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[FIRST] = [Fault(stop_after=1000), Fault(ignore_range=True)]
    assert run("fetch", "tales")[0] == 0
    assert_complete(hub, home)


def test_a_file_with_a_wrong_checksum_is_downloaded_again(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[FIRST] = [Fault(flip=True)]
    assert run("fetch", "tales")[0] == 0
    assert_complete(hub, home)


def test_a_wrong_checksum_twice_is_an_error(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[FIRST] = [Fault(flip=True)] * 2
    code, output = run("fetch", "tales", "--jobs", "1")
    assert code == 2
    assert "is not the pinned file" in output
    assert "shard_00000.parquet" not in names(home)
    assert run("fetch", "tales")[0] == 0
    assert_complete(hub, home)


def test_wrong_bytes_before_a_dropped_connection_are_detected(
    hub: Hub, home: Path, run: Run
) -> None:
    hub.faults[FIRST] = [Fault(flip=True, stop_after=1000)]
    assert run("fetch", "tales")[0] == 0
    assert_complete(hub, home)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("Retry-After", "7"),), 7.0),
        ((("RateLimit", '"resolvers";r=0;t=42'),), 42.0),
        ((), 0.01),
    ],
)
def test_a_busy_server_gets_the_delay_it_asks_for(
    headers: tuple[tuple[str, str], ...],
    seconds: float,
    hub: Hub,
    home: Path,
    run: Run,
    delays: list[float],
) -> None:
    hub.faults[FIRST] = [Fault(status=429, headers=headers)]
    assert run("fetch", "tales")[0] == 0
    assert delays == [seconds]
    assert_complete(hub, home)


def test_listing_files_is_retried(hub: Hub, home: Path, run: Run, delays: list[float]) -> None:
    hub.listing_faults = [Fault(status=429, headers=(("Retry-After", "3"),)), Fault(status=503)]
    assert run("fetch", "tales")[0] == 0
    assert delays == [3.0, 0.02]
    assert_complete(hub, home)


def test_a_very_long_delay_is_an_error_and_loses_nothing(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[SECOND] = [Fault(status=429, headers=(("Retry-After", "7200"),))]
    code, output = run("fetch", "tales", "--jobs", "1")
    assert code == 2
    assert "busy for 120 minutes" in output
    assert "shard_00000.parquet" in names(home)
    hub.requests.clear()
    assert run("fetch", "tales")[0] == 0
    assert hub.requests_for(FIRST) == []
    assert_complete(hub, home)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors_are_retried(
    status: int, hub: Hub, home: Path, run: Run, delays: list[float]
) -> None:
    hub.faults[FIRST] = [Fault(status=status)] * 4
    assert run("fetch", "tales")[0] == 0
    assert delays == [0.01, 0.02, 0.04, 0.08]
    assert_complete(hub, home)


def test_permanent_server_errors_end_in_one_line(
    hub: Hub, home: Path, run: Run, delays: list[float]
) -> None:
    hub.faults[FIRST] = [Fault(status=500)] * 50
    code, output = run("fetch", "tales")
    assert code == 2
    assert "the server returned 500" in output
    assert output.strip().count("\n") == 0
    assert len(hub.requests_for(FIRST)) == network.MAX_ATTEMPTS


@pytest.mark.parametrize(("status", "expected"), [(403, "HF_TOKEN"), (404, "it was removed")])
def test_a_refused_file_is_an_error_without_retries(
    status: int, expected: str, hub: Hub, run: Run, delays: list[float]
) -> None:
    hub.faults[FIRST] = [Fault(status=status)]
    code, output = run("fetch", "tales")
    assert code == 2
    assert expected in output
    assert delays == []


def test_a_missing_repository_is_an_error_without_retries(
    hub: Hub, run: Run, delays: list[float]
) -> None:
    hub.listing_faults = [Fault(status=404)]
    code, output = run("fetch", "tales")
    assert code == 2
    assert "somebody/tales" in output
    assert delays == []


def test_an_error_without_network_suggests_a_bundle(
    hub: Hub, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch, delays: list[float]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, output = run("fetch", "tales")
    assert code == 2
    assert output.strip().count("\n") == 0
    assert "firstwords data bundle" in output
    assert len(delays) < network.MAX_ATTEMPTS_OFFLINE


def test_a_complete_corpus_needs_no_network(
    hub: Hub, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("fetch", "tales")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run("fetch", "tales")[0] == 0


def test_too_little_disk_space_is_an_error_before_the_download(
    hub: Hub, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstwords.common.paths.free_disk", lambda folder: 1000)
    code, output = run("fetch", "tales")
    assert code == 2
    assert "not enough disk space" in output
    assert hub.requests_for(FIRST) == []


def test_two_processes_cannot_fetch_into_one_folder(hub: Hub, home: Path, run: Run) -> None:
    with folder_lock(home / "data" / "tales"):
        code, output = run("fetch", "tales")
    assert code == 2
    assert "another process" in output


def test_files_are_downloaded_in_parallel(hub: Hub, home: Path, run: Run) -> None:
    """The first file hangs until the second has been requested."""
    hub.faults[FIRST] = [Fault(hang_after=100)]
    hub.requests = _ResumeOnSecond(hub)
    assert run("fetch", "tales", "--jobs", "2")[0] == 0
    assert_complete(hub, home)


class _ResumeOnSecond(list):  # type: ignore[type-arg]
    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.hub = hub

    def append(self, request: Any) -> None:
        super().append(request)
        if request.path.endswith(SECOND):
            self.hub.resume.set()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_fetch_resumes_after_a_signal(
    signal_number: signal.Signals,
    hub: Hub,
    home: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub's own"))
    hub.faults[FIRST] = [Fault(hang_after=1500)]
    script = (
        "import sys\nfrom pathlib import Path\nfrom firstwords.cli.main import run_command\n"
        "from firstwords.data.hub import catalogue\n"
        f"catalogue.CATALOGUE_PATH = Path({str(catalogue.CATALOGUE_PATH)!r})\n"
        "sys.exit(run_command(['data', 'fetch', 'tales', '--jobs', '1']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    while not parts(home) or parts(home)[0].stat().st_size < 1500:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal_number)
    output = process.communicate(timeout=LIMIT_SECONDS)[1]
    if signal_number == signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command again to resume" in output
        assert "Traceback" not in output
    hub.resume.set()
    # The library sends no telemetry.
    assert all(r.path.startswith(("/api/datasets/", "/datasets/")) for r in hub.requests)
    hub.requests.clear()
    assert run("fetch", "tales")[0] == 0
    assert [request.range for request in hub.requests_for(FIRST)] == ["bytes=1500-"]
    assert_complete(hub, home)


# --- messages and the list of corpora -------------------------------------------------------------


def test_a_corpus_that_was_not_fetched_names_the_command(
    hub: Hub, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["train", "--data", "hub:tales"]) == 2
    assert "firstwords data fetch tales" in capsys.readouterr().err


def test_a_corpus_with_a_missing_shard_names_the_command(
    hub: Hub, home: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fetch", "tales")
    (home / "data" / "tales" / "shard_00000.parquet").unlink()
    assert run_command(["train", "--data", "hub:tales"]) == 2
    output = capsys.readouterr().err
    assert "shard_00000.parquet is missing" in output
    assert "firstwords data fetch tales" in output


def test_list_shows_what_was_fetched(hub: Hub, home: Path, run: Run) -> None:
    run("fetch", "tales")
    (home / "data" / "tales" / "shard_00000.parquet").unlink()
    shown = json.loads(run("list", "--json")[1])
    assert shown["tales"]["fetched"]["files"] == 2
    assert shown["tales"]["fetched"]["missing"] == 1
    assert shown["tales"]["fetched"]["revision"] == REVISION
    assert shown["talks"]["fetched"] is None
    output = run("list")[1]
    assert "1 missing" in output
    assert "CC0" in output


def test_the_guide_lists_the_catalogue() -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "get-data.md"
    rows = {line.split("`")[1]: line for line in guide.read_text().splitlines() if "| `" in line}
    for name, entry in catalogue.load_catalogue().items():
        assert f"{entry.all_shards:,} shards" in rows[name]
        assert entry.option in rows[name]


def test_the_real_catalogue_is_pinned() -> None:
    entries = catalogue.load_catalogue()
    assert {entry.kind for entry in entries.values()} == {"text", "conversations"}
    assert [name for name, entry in entries.items() if not entry.revision] == ["fineweb-edu"]
    assert all(isinstance(entry, CatalogueEntry) for entry in entries.values())


# --- verify ---------------------------------------------------------------------------------------


def test_verify_finds_missing_and_damaged_files(hub: Hub, home: Path, run: Run) -> None:
    run("fetch", "tales")
    assert run("verify") == (0, run("verify", "tales")[1])
    folder = home / "data" / "tales"
    (folder / "shard_00000.parquet").unlink()
    content = bytearray((folder / "shard_00001.parquet").read_bytes())
    content[100] ^= 1
    (folder / "shard_00001.parquet").write_bytes(content)
    code, output = run("verify")
    assert code == 1
    assert f"missing: {folder}/shard_00000.parquet" in output
    assert f"damaged: {folder}/shard_00001.parquet" in output
    assert "to fix this, run: firstwords data fetch tales" in output
    shown = json.loads(run("verify", "--json")[1])
    assert shown["tales"]["problems"] == {
        "shard_00000.parquet": "missing",
        "shard_00001.parquet": "damaged",
    }
    assert run("fetch", "tales")[0] == 0
    assert run("verify")[0] == 0


def test_verify_of_a_corpus_that_was_not_fetched_is_an_error(hub: Hub, run: Run) -> None:
    assert run("verify", "tales")[0] == 2
    assert run("verify") == (
        0,
        "nothing was fetched yet; list the known corpora with firstwords data list\n",
    )


def test_a_manifest_cannot_name_paths_outside_its_folder(home: Path) -> None:
    for path in ("../x", "/etc/passwd", "a/../../b", ".", "", "a//b", "a\\b", ".tmp-x"):
        with pytest.raises(ValueError, match="not a plain relative path"):
            manifest.safe_path(path)
    assert manifest.safe_path("a/b c/.d.parquet")
