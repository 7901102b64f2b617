"""Fetching named corpora, from a hub of our own that drops, truncates, lies and is busy."""

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
from hub import REVISION, Fault, Hub, serving

from firstwords.cli import run_command
from firstwords.data import catalogue, contents, corpora, network
from firstwords.data.catalogue import Entry
from firstwords.errors import UserError

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
    """Five shards of text, two of conversations; the catalogue names them."""
    (tmp_path / "catalogue.toml").write_text(CATALOGUE)
    monkeypatch.setattr(catalogue, "FILE", tmp_path / "catalogue.toml")
    monkeypatch.setattr(network, "FIRST_WAIT", 0.01)
    with serving("somebody/tales") as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        for number in range(5):
            words = [f"tale {number} {i} " + "and then " * i for i in range(60)]
            served.files[f"data/shard_{number:05d}.parquet"] = parquet(text=words)
        served.files["notes.txt"] = b"not data"
        yield served


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which do not happen."""
    asked: list[float] = []

    def wait_of(again: network.Again, failures: int, url: str) -> float:
        asked.append(real(again, failures, url))
        return 0.0

    real = network.wait_of
    monkeypatch.setattr(network, "wait_of", wait_of)
    return asked


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `firstwords data ...`: its exit code, and all that it said."""

    def run(*arguments: str) -> tuple[int, str]:
        code = run_command(["data", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


Run = Callable[..., tuple[int, str]]
FIRST = "data/shard_00000.parquet"
SECOND = "data/shard_00001.parquet"


def names(home: Path, name: str = "tales") -> set[str]:
    return {path.name for path in (home / "data" / name).iterdir() if path.name[0] != "."}


def parts(home: Path) -> list[Path]:
    return list(home.rglob("*.part"))


def assert_whole(hub: Hub, home: Path) -> None:
    """The default shards are there, byte for byte, and nothing else."""
    assert names(home) == {
        "contents.json",
        "shard_00000.parquet",
        "shard_00001.parquet",
        "val-shard_00004.parquet",
    }
    for number, name in ((0, "shard_00000"), (1, "shard_00001"), (4, "val-shard_00004")):
        found = (home / "data" / "tales" / f"{name}.parquet").read_bytes()
        assert found == hub.files[f"data/shard_{number:05d}.parquet"]
    assert parts(home) == []


# --- what is fetched ------------------------------------------------------------------------------


def test_a_corpus_is_fetched_once_and_read_by_its_name(hub: Hub, home: Path, run: Run) -> None:
    code, said = run("fetch", "tales")
    assert code == 0, said
    assert "3 files" in said
    assert "firstwords train --data hub:tales" in said
    assert_whole(hub, home)
    corpus = corpora.open_corpus("hub:tales", "--data")
    train = set(corpora.texts(corpus, "train", 0))
    held_out = set(corpora.texts(corpus, "val", 0))
    assert {text.split()[1] for text in train} == {"0", "1"}
    assert {text.split()[1] for text in held_out} == {"4"}
    asked = len(hub.asked)
    code, said = run("fetch", "tales")
    assert (code, len(hub.asked)) == (0, asked)
    assert "all were there" in said


def test_the_files_can_be_read_as_a_directory_too(hub: Hub, home: Path, run: Run) -> None:
    assert run("fetch", "tales", "--out", str(home / "elsewhere"))[0] == 0
    run("fetch", "tales")
    named = corpora.open_corpus("hub:tales", "--data")
    folder = corpora.open_corpus(str(home / "elsewhere"), "--data")
    for split in corpora.SPLITS:
        assert list(corpora.texts(named, split, 3)) == list(corpora.texts(folder, split, 3))


def test_more_shards_come_from_the_pinned_revision(hub: Hub, home: Path, run: Run) -> None:
    """A corpus without a revision in the catalogue stays at the one of its first files."""
    assert run("fetch", "floating")[0] == 0
    hub.asked.clear()
    assert run("fetch", "floating", "--shards", "3")[0] == 0
    assert any(f"/revision/{REVISION}" in one.path for one in hub.asked)
    assert all("main" not in one.path for one in hub.asked)
    assert len(names(home, "floating")) == 5
    assert run("fetch", "floating", "--shards", "2")[0] == 0
    assert len(names(home, "floating")) == 5
    assert run("fetch", "floating", "--shards", "all")[0] == 0
    assert len(names(home, "floating")) == 6


def test_whoever_wanted_too_much_may_want_less(hub: Hub, home: Path, run: Run) -> None:
    """Nobody has to finish what was interrupted; what came of it stays."""
    hub.faults["data/shard_00002.parquet"] = [Fault(status=404)]
    assert run("fetch", "tales", "--shards", "all", "--jobs", "1")[0] == 2
    last = home / "data" / "tales" / "shard_00003.parquet"
    last.write_bytes(hub.files["data/shard_00003.parquet"])
    with pytest.raises(UserError, match="is not whole"):
        corpora.open_corpus("hub:tales", "--data")
    assert run("fetch", "tales", "--shards", "2")[0] == 0
    assert len(corpora.open_corpus("hub:tales", "--data").files) == 3
    last.unlink()
    assert run("fetch", "tales")[0] == 0  # no number: what was wanted before
    assert last.exists()


def test_a_folder_that_cannot_be_made_is_told(hub: Hub, tmp_path: Path, run: Run) -> None:
    (tmp_path / "file").write_text("in the way")
    code, said = run("fetch", "tales", "--out", str(tmp_path / "file" / "x"))
    assert code == 2
    assert "cannot make the directory" in said


def test_conversations_of_a_dataset_are_read(hub: Hub, home: Path, run: Run) -> None:
    """As SmolTalk has them: a list of content and role, other columns beside it."""

    def talk(word: str) -> list[dict[str, str]]:
        return [{"content": word, "role": "user"}, {"content": "yes", "role": "assistant"}]

    for split, word in (("train", "ice"), ("test", "fire")):
        hub.files[f"talk/{split}-00000-of-00001.parquet"] = parquet(
            messages=[talk(word)] * 60, source=["x"] * 60
        )
    code, said = run("fetch", "talks")
    assert code == 0
    assert "--chat-data hub:talks" in said
    corpus = corpora.open_corpus("hub:talks", "--chat-data")
    assert next(corpora.conversations(corpus, "train", 0))[0]["content"] == "ice"
    assert next(corpora.conversations(corpus, "val", 0))[0]["content"] == "fire"


def test_conversations_that_nobody_can_mend_are_left_out(
    hub: Hub, home: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [{"content": "ice?", "role": "user"}, {"content": "yes", "role": "assistant"}]
    for split in ("train", "test"):
        talks = [good, good[:1], good, [good[1]], [*good, {"content": "x", "role": "tool"}]] * 20
        hub.files[f"talk/{split}-00000-of-00001.parquet"] = parquet(messages=talks)
    run("fetch", "talks")
    corpus = corpora.open_corpus("hub:talks", "--chat-data")
    for _ in range(2):
        found = [list(corpora.conversations(corpus, split, 0)) for split in corpora.SPLITS]
        assert [len(one) for one in found] == [40, 40]
    assert capsys.readouterr().err.count("left out") == 2  # once for each file
    with pytest.raises(UserError, match="mend or remove"):
        list(corpora.conversations(corpora.open_corpus(str(home / "data"), "--x"), "train", 0))


def test_a_damaged_file_is_fetched_again(hub: Hub, home: Path, run: Run) -> None:
    run("fetch", "tales")
    damaged = home / "data" / "tales" / "shard_00001.parquet"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:50] + b"?" + content[51:])
    hub.asked.clear()
    code, said = run("fetch", "tales")
    assert code == 0
    assert "1 of the files here are damaged" in said
    assert [one.path.split("/")[-1] for one in hub.asked] == ["shard_00001.parquet"]
    assert_whole(hub, home)


def test_a_token_goes_to_the_hub(hub: Hub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_something")
    run("fetch", "tales")
    assert {one.token for one in hub.asked} == {"Bearer hf_something"}


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_dropped_connection_goes_on_where_it_was(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[FIRST] = [Fault(stop_after=1000), Fault(stop_after=500), Fault(stop_after=1)]
    assert run("fetch", "tales")[0] == 0
    assert_whole(hub, home)
    ranges = [one.range for one in hub.asked_for(FIRST)]
    assert ranges == [None, "bytes=1000-", "bytes=1500-", "bytes=1501-"]


def test_a_file_may_be_dropped_as_often_as_something_comes(
    hub: Hub, home: Path, run: Run, waits: list[float]
) -> None:
    hub.faults[FIRST] = [Fault(stop_after=100)] * 12
    assert run("fetch", "tales")[0] == 0
    assert_whole(hub, home)


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(
    hub: Hub, home: Path, run: Run
) -> None:
    hub.faults[FIRST] = [Fault(stop_after=1000), Fault(ignore_range=True)]
    assert run("fetch", "tales")[0] == 0
    assert_whole(hub, home)


def test_wrong_bytes_are_not_kept(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[FIRST] = [Fault(flip=True)]
    assert run("fetch", "tales")[0] == 0
    assert_whole(hub, home)


def test_bytes_that_stay_wrong_are_told(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[FIRST] = [Fault(flip=True)] * 2
    code, said = run("fetch", "tales", "--jobs", "1")
    assert code == 2
    assert "not the file that was pinned" in said
    assert "shard_00000.parquet" not in names(home)
    assert run("fetch", "tales")[0] == 0
    assert_whole(hub, home)


def test_what_was_received_wrong_before_a_drop_is_found(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[FIRST] = [Fault(flip=True, stop_after=1000)]
    assert run("fetch", "tales")[0] == 0
    assert_whole(hub, home)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("Retry-After", "7"),), 7.0),
        ((("RateLimit", '"resolvers";r=0;t=42'),), 42.0),
        ((), 0.01),
    ],
)
def test_a_busy_server_is_given_the_time_it_asks_for(
    headers: tuple[tuple[str, str], ...],
    seconds: float,
    hub: Hub,
    home: Path,
    run: Run,
    waits: list[float],
) -> None:
    hub.faults[FIRST] = [Fault(status=429, headers=headers)]
    assert run("fetch", "tales")[0] == 0
    assert waits == [seconds]
    assert_whole(hub, home)


def test_a_busy_list_is_waited_for_too(hub: Hub, home: Path, run: Run, waits: list[float]) -> None:
    hub.listing_faults = [Fault(status=429, headers=(("Retry-After", "3"),)), Fault(status=503)]
    assert run("fetch", "tales")[0] == 0
    assert waits == [3.0, 0.02]
    assert_whole(hub, home)


def test_a_wait_beyond_patience_is_told_and_nothing_is_lost(hub: Hub, home: Path, run: Run) -> None:
    hub.faults[SECOND] = [Fault(status=429, headers=(("Retry-After", "7200"),))]
    code, said = run("fetch", "tales", "--jobs", "1")
    assert code == 2
    assert "come back in 120 minutes" in said
    assert "shard_00000.parquet" in names(home)
    hub.asked.clear()
    assert run("fetch", "tales")[0] == 0
    assert hub.asked_for(FIRST) == []
    assert_whole(hub, home)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_broken_server_is_tried_again(
    status: int, hub: Hub, home: Path, run: Run, waits: list[float]
) -> None:
    hub.faults[FIRST] = [Fault(status=status)] * 4
    assert run("fetch", "tales")[0] == 0
    assert waits == [0.01, 0.02, 0.04, 0.08]
    assert_whole(hub, home)


def test_a_server_that_stays_broken_ends_in_one_line(
    hub: Hub, home: Path, run: Run, waits: list[float]
) -> None:
    hub.faults[FIRST] = [Fault(status=500)] * 50
    code, said = run("fetch", "tales")
    assert code == 2
    assert "the server says 500" in said
    assert said.strip().count("\n") == 0
    assert len(hub.asked_for(FIRST)) == network.TRIES


@pytest.mark.parametrize(("status", "says"), [(403, "HF_TOKEN"), (404, "not there any more")])
def test_a_refusal_is_told_at_once(
    status: int, says: str, hub: Hub, run: Run, waits: list[float]
) -> None:
    hub.faults[FIRST] = [Fault(status=status)]
    code, said = run("fetch", "tales")
    assert code == 2
    assert says in said
    assert waits == []


def test_a_missing_repository_is_told_at_once(hub: Hub, run: Run, waits: list[float]) -> None:
    hub.listing_faults = [Fault(status=404)]
    code, said = run("fetch", "tales")
    assert code == 2
    assert "somebody/tales" in said
    assert waits == []


def test_without_a_network_the_way_around_it_is_told(
    hub: Hub, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, said = run("fetch", "tales")
    assert code == 2
    assert said.strip().count("\n") == 0
    assert "firstwords data bundle" in said
    assert len(waits) < network.TRIES_OFFLINE


def test_what_is_all_here_needs_no_network(
    hub: Hub, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("fetch", "tales")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run("fetch", "tales")[0] == 0


def test_a_full_disk_is_foreseen(
    hub: Hub, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstwords.machine.free_disk", lambda folder: 1000)
    code, said = run("fetch", "tales")
    assert code == 2
    assert "not enough disk" in said
    assert hub.asked_for(FIRST) == []


def test_two_at_a_time_do_not_meet(hub: Hub, home: Path, run: Run) -> None:
    from firstwords.data.fetch import locked

    with locked(home / "data" / "tales"):
        code, said = run("fetch", "tales")
    assert code == 2
    assert "another process" in said


def test_files_come_side_by_side(hub: Hub, home: Path, run: Run) -> None:
    """The first waits until the second has been asked for."""
    hub.faults[FIRST] = [Fault(hang_after=100)]
    released = hub.faults[SECOND]
    original, hub.asked = hub.asked, _Watched(hub)
    assert run("fetch", "tales", "--jobs", "2")[0] == 0
    assert original == []
    assert released == []
    assert_whole(hub, home)


class _Watched(list):  # type: ignore[type-arg]
    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.hub = hub

    def append(self, asked: Any) -> None:
        super().append(asked)
        if asked.path.endswith(SECOND):
            self.hub.go_on.set()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_a_stop_in_the_middle_leaves_what_came(
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
        "import sys\nfrom pathlib import Path\nfrom firstwords import cli\n"
        "from firstwords.data import catalogue\n"
        f"catalogue.FILE = Path({str(catalogue.FILE)!r})\n"
        "sys.exit(cli.run_command(['data', 'fetch', 'tales', '--jobs', '1']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    while not parts(home) or parts(home)[0].stat().st_size < 1500:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal_number)
    said = process.communicate(timeout=30)[1]
    if signal_number == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command continues" in said
        assert "Traceback" not in said
    hub.go_on.set()
    # Nothing but what was wanted: no telemetry of the library's.
    assert all(one.path.startswith(("/api/datasets/", "/datasets/")) for one in hub.asked)
    hub.asked.clear()
    assert run("fetch", "tales")[0] == 0
    assert [one.range for one in hub.asked_for(FIRST)] == ["bytes=1500-"]
    assert_whole(hub, home)


# --- what is told ---------------------------------------------------------------------------------


def test_a_corpus_that_is_not_here_names_the_command(
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
    said = capsys.readouterr().err
    assert "shard_00000.parquet is not whole" in said
    assert "firstwords data fetch tales" in said


def test_list_tells_what_is_here(hub: Hub, home: Path, run: Run) -> None:
    run("fetch", "tales")
    (home / "data" / "tales" / "shard_00000.parquet").unlink()
    shown = json.loads(run("list", "--json")[1])
    assert shown["tales"]["here"]["files"] == 2
    assert shown["tales"]["here"]["missing"] == 1
    assert shown["tales"]["here"]["revision"] == REVISION
    assert shown["talks"]["here"] is None
    told = run("list")[1]
    assert "1 missing" in told
    assert "CC0" in told


def test_the_guide_has_the_catalogue() -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "get-data.md"
    rows = {line.split("`")[1]: line for line in guide.read_text().splitlines() if "| `" in line}
    for name, entry in catalogue.entries().items():
        assert f"{entry.all_shards:,} shards" in rows[name]
        assert entry.option in rows[name]


def test_the_real_catalogue_is_pinned() -> None:
    entries = catalogue.entries()
    assert {entry.kind for entry in entries.values()} == {"text", "conversations"}
    assert [name for name, entry in entries.items() if not entry.revision] == ["fineweb-edu"]
    assert all(isinstance(entry, Entry) for entry in entries.values())


# --- verify ---------------------------------------------------------------------------------------


def test_verify_finds_what_is_missing_and_damaged(hub: Hub, home: Path, run: Run) -> None:
    run("fetch", "tales")
    assert run("verify") == (0, run("verify", "tales")[1])
    folder = home / "data" / "tales"
    (folder / "shard_00000.parquet").unlink()
    content = bytearray((folder / "shard_00001.parquet").read_bytes())
    content[100] ^= 1
    (folder / "shard_00001.parquet").write_bytes(content)
    code, said = run("verify")
    assert code == 1
    assert f"missing: {folder}/shard_00000.parquet" in said
    assert f"damaged: {folder}/shard_00001.parquet" in said
    assert "mend it with: firstwords data fetch tales" in said
    shown = json.loads(run("verify", "--json")[1])
    assert shown["tales"]["problems"] == {
        "shard_00000.parquet": "missing",
        "shard_00001.parquet": "damaged",
    }
    assert run("fetch", "tales")[0] == 0
    assert run("verify")[0] == 0


def test_verify_of_what_is_not_here_is_a_mistake(hub: Hub, run: Run) -> None:
    assert run("verify", "tales")[0] == 2
    assert run("verify") == (
        0,
        "nothing has been fetched yet; firstwords data list says what there is\n",
    )


def test_contents_of_elsewhere_cannot_lead_outside(home: Path) -> None:
    for path in ("../x", "/etc/passwd", "a/../../b", ".", "", "a//b", "a\\b", ".tmp-x"):
        with pytest.raises(ValueError, match="plain relative path"):
            contents.safe_path(path)
    assert contents.safe_path("a/b c/.d.parquet")
