"""Bundles: what goes in comes out, and nothing else does."""

import hashlib
import io
import json
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from end_to_end import recipe, write_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords import files
from firstwords import run as runs
from firstwords.cli import run_command
from firstwords.data import bundle, contents, corpora, unbundle
from firstwords.data.bundle import MANIFEST, MANIFEST_SUM
from firstwords.data.contents import Contents, FileEntry
from firstwords.errors import UserError
from firstwords.recipe import Recipe

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*arguments: str | Path) -> tuple[int, str]:
        code = run_command(["data", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def fetched(name: str, seed: int = 0) -> dict[str, bytes]:
    """A corpus as if it had been fetched: two files to train on, one held out."""
    folder, held = contents.folder_of(name), {}
    for file in ("a.jsonl", "b.jsonl", "val.jsonl"):
        words = random.Random(f"{seed} {name} {file}")
        lines = [{"text": f"{file} {words.random()} tale"} for _ in range(60)]
        folder.mkdir(parents=True, exist_ok=True)
        held[file] = write_lines(folder / file, lines).read_bytes()
    entries = [
        FileEntry(
            path=file,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            held_out=file == "val.jsonl",
        )
        for file, content in held.items()
    ]
    contents.write(folder, Contents(origin="x/y", revision="0" * 40, files=tuple(entries)))
    return held


def own(folder: Path) -> Path:
    """A directory of somebody's own, with a file in a directory inside."""
    (folder / "deep").mkdir(parents=True)
    write_lines(folder / "a.jsonl", [{"text": f"own a {i}"} for i in range(60)])
    write_lines(folder / "deep" / "b.jsonl", [{"text": f"own b {i}"} for i in range(60)])
    write_lines(folder / "deep" / "val.jsonl", [{"text": f"own val {i}"} for i in range(60)])
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Go to another machine: an empty home of another name."""

    def go() -> Path:
        home = tmp_path / "other home"
        monkeypatch.setenv("FIRSTWORDS_HOME", str(home))
        return home

    return go


def below(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def read(source: str, split: corpora.Split = "train") -> list[str]:
    return list(corpora.texts(corpora.open_corpus(source, "--data"), split, 5))


# --- round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["tar", "tar.zst"])
def test_fetched_corpora_arrive_as_they_were(
    ending: str, say: Say, tmp_path: Path, home: Path, elsewhere: Callable[[], Path]
) -> None:
    fetched("tinystories"), fetched("smoltalk"), fetched("eval")
    before, texts = below(home), read("hub:tinystories")
    out = tmp_path / f"all.{ending}"
    sources = ("--data", "hub:tinystories", "--chat-data", "hub:smoltalk", "--eval")
    code, said = say("bundle", *sources, "--out", out)
    assert code == 0, said
    assert f"firstwords data unbundle all.{ending}" in said
    other = elsewhere()
    code, said = say("unbundle", out)
    assert code == 0, said
    assert "firstwords train --data hub:tinystories --chat-data hub:smoltalk" in said
    assert below(other) == before
    assert read("hub:tinystories") == texts
    assert say("verify")[0] == 0
    assert not list(other.glob(f"{files.TEMPORARY}*"))


def test_a_directory_of_ones_own_arrives_under_a_name(
    say: Say, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    folder = own(tmp_path / "my texts.v2")
    out, split = tmp_path / "own.tar", corpora.SPLITS
    texts = [read(str(folder), one) for one in split]
    assert say("bundle", "--data", folder, "--chat-data", "starter", "--out", out)[0] == 0
    elsewhere()
    code, said = say("unbundle", out)
    assert code == 0
    assert "firstwords train --data hub:my-texts --chat-data starter" in said
    assert [read("hub:my-texts", one) for one in split] == texts


def test_a_single_file_is_trained_on_whatever_its_name(
    say: Say, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    path = write_lines(tmp_path / "val.jsonl", [{"text": f"text {i}"} for i in range(60)])
    texts = read(str(path))
    assert say("bundle", "--data", path, "--out", tmp_path / "x.tar")[0] == 0
    elsewhere()
    assert say("unbundle", tmp_path / "x.tar")[0] == 0
    assert read("hub:val") == texts


def test_names_of_ones_own_do_not_meet_others(say: Say, tmp_path: Path) -> None:
    for place in ("one", "two"):
        own(tmp_path / place / "tinystories")
    sources = ("--data", tmp_path / "one/tinystories", "--chat-data", tmp_path / "two/tinystories")
    assert say("bundle", *sources, "--out", tmp_path / "x.tar")[0] == 0
    with tarfile.open(tmp_path / "x.tar") as archive:
        units = {name.split("/")[1] for name in archive.getnames() if name.startswith("data/")}
    assert units == {"own-tinystories", "own-own-tinystories"}


def make_run(name: str, planned: dict[str, Any], data: str) -> runs.Run:
    with runs.locked(name) as directory:
        manifest = runs.Manifest(
            firstwords="1",
            created=runs.now(),
            time=30.0,
            sources=runs.Sources(data=data, chat_data="starter"),
            recipe=Recipe.model_validate(planned),
            machine={},
            predicted={},
        )
        made = runs.create(directory, manifest)
        files.write_text(made.tokenizer_path, "the tokenizer")
        files.write_text(made.tokens("text", "train") / "00000" / "ids.npy", "tokens")
    return made


def test_a_run_arrives_with_its_sources(
    say: Say, tmp_path: Path, home: Path, elsewhere: Callable[[], Path]
) -> None:
    folder = own(tmp_path / "texts")
    made = make_run("x", recipe(), str(folder))
    (made.directory / ".tmp-half").write_text("of a file")
    assert say("bundle", "--run", "x", "--out", tmp_path / "x.tar")[0] == 0
    before, texts = below(home / "runs"), read(str(folder))
    other = elsewhere()
    shutil.rmtree(folder)
    code, said = say("unbundle", tmp_path / "x.tar")
    assert code == 0
    assert "firstwords train --run x" in said
    assert runs.open_run("x").manifest.sources == runs.Sources(
        data="hub:texts", chat_data="starter"
    )
    assert read("hub:texts") == texts
    after = below(other / "runs")
    for one in (before, after):
        one.pop("x/run.json")
        one.pop("x/lock", None)
    assert after == before


def test_the_same_files_make_the_same_bytes(say: Say, tmp_path: Path, home: Path) -> None:
    fetched("tinystories")
    for ending in ("tar", "tar.zst"):
        made = []
        for count in range(2):
            out = tmp_path / f"{count}.{ending}"
            assert say("bundle", "--data", "hub:tinystories", "--out", out)[0] == 0
            made.append(out.read_bytes())
            for path in home.rglob("*"):
                path.touch()
        assert made[0] == made[1]


def test_tar_opens_it_too(say: Say, tmp_path: Path, home: Path) -> None:
    held = fetched("tinystories")
    assert say("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")[0] == 0
    with tarfile.open(tmp_path / "x.tar") as archive:
        inside = {info.name: archive.extractfile(info) for info in archive.getmembers()}
        found = {name: file.read() for name, file in inside.items() if file}
    assert found["data/tinystories/b.jsonl"] == held["b.jsonl"]
    digest, name = found[MANIFEST_SUM].decode().split()
    assert hashlib.sha256(found[name]).hexdigest() == digest


@pytest.mark.parametrize("was_fetched", [True, False])
def test_a_run_that_takes_benchmarks_brings_their_data(
    was_fetched: bool, say: Say, tmp_path: Path
) -> None:
    make_run("x", recipe(benchmark_items=5), "starter")
    if was_fetched:
        fetched("eval")
    code, said = say("bundle", "--run", "x", "--out", tmp_path / "x.tar")
    assert code == 0
    assert ("not packed" in said) is not was_fetched
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert ("eval/a.jsonl" in archive.getnames()) is was_fetched


def test_unpacking_twice_changes_nothing(
    say: Say, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    fetched("tinystories")
    say("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")
    other = elsewhere()
    say("unbundle", tmp_path / "x.tar")
    before = below(other)
    code, said = say("unbundle", tmp_path / "x.tar")
    assert code == 0
    assert "data/tinystories was here already" in said
    assert below(other) == before


def test_a_damaged_corpus_is_mended(
    say: Say, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    fetched("tinystories")
    say("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")
    other = elsewhere()
    say("unbundle", tmp_path / "x.tar")
    before = below(other)
    (other / "data/tinystories/a.jsonl").write_text("half")
    (other / "data/tinystories/b.jsonl").unlink()
    assert say("verify")[0] == 1
    assert say("unbundle", tmp_path / "x.tar")[0] == 0
    assert below(other) == before


# --- what is refused ------------------------------------------------------------------------------


def test_a_damaged_corpus_is_not_packed(say: Say, tmp_path: Path, home: Path) -> None:
    fetched("tinystories")
    path = home / "data/tinystories/a.jsonl"
    path.write_bytes(path.read_bytes().replace(b"tale", b"tail", 1))
    code, said = say("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")
    assert code == 2
    assert "firstwords data fetch tinystories" in said
    path.unlink()
    assert say("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")[0] == 2
    assert not (tmp_path / "x.tar").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "starter", "--out", "x.tar"], "needs no files"),
        (["--out", "x.tar"], "name a --run"),
        (["--data", "hub:tinystories", "--out", "x.tar"], "firstwords data fetch tinystories"),
        (["--eval", "--out", "x.tar"], "firstwords data fetch eval"),
        (["--eval", "--out", "x.zip"], "ends in .tar"),
        (["--run", "x", "--data", "starter", "--out", "x.tar"], "knows its sources"),
        (["--run", "x", "--out", "x.tar"], "no such run"),
    ],
)
def test_what_cannot_be_packed_is_told(
    arguments: list[str], says: str, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = say("bundle", *arguments)
    assert code == 2
    assert says in said
    assert not list(tmp_path.glob("*.tar"))


def test_another_run_of_that_name_is_not_overwritten(
    say: Say, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    make_run("x", recipe(), "starter")
    say("bundle", "--run", "x", "--out", tmp_path / "x.tar")
    other = elsewhere()
    make_run("x", recipe(base=7), "starter")
    before = below(other)
    code, said = say("unbundle", tmp_path / "x.tar")
    assert code == 2
    assert "is here already" in said
    assert below(other) == before


def test_files_that_the_bundle_lacks_are_not_lost(
    say: Say, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    fetched("tinystories"), fetched("smoltalk")
    sources = ("--data", "hub:tinystories", "--chat-data", "hub:smoltalk")
    say("bundle", *sources, "--out", tmp_path / "x.tar")
    other = elsewhere()
    fetched("tinystories", seed=1)
    (other / "data/tinystories/c.jsonl").write_text("one more shard")
    before = below(other)
    code, said = say("unbundle", tmp_path / "x.tar")
    assert code == 2
    assert "c.jsonl" in said
    assert below(other) == before


def test_a_full_disk_is_foreseen(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: Callable[[], Path]
) -> None:
    fetched("tinystories")
    say("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")
    monkeypatch.setattr("firstwords.machine.free_disk", lambda folder: 1000)
    code, said = say("bundle", "--data", "hub:tinystories", "--out", tmp_path / "y.tar")
    assert (code, "not enough disk" in said) == (2, True)
    other = elsewhere()
    code, said = say("unbundle", tmp_path / "x.tar")
    assert (code, "not enough disk" in said) == (2, True)
    assert below(other) == {}


# --- hostile archives -----------------------------------------------------------------------------


def hostile(
    path: Path,
    listed: list[dict[str, Any]] | None = None,
    members: list[tuple[tarfile.TarInfo, bytes]] | None = None,
    **changes: Any,
) -> Path:
    """An archive as somebody else might write it, with a manifest that fits its checksum."""
    document = {"format": 1, "firstwords": "1", "files": listed or [], **changes}
    text = json.dumps(document).encode()
    sum_line = f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n".encode()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in ((MANIFEST, text), (MANIFEST_SUM, sum_line)):
            archive.addfile(member(name, content), io.BytesIO(content))
        for info, content in members or []:
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return info


def listed(path: str, content: bytes = b"x", **changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"path": path, "bytes": len(content), "sha256": digest, **changes}


def refused(path: Path, home: Path) -> str:
    """What is said; nothing must have been unpacked."""
    with pytest.raises(UserError) as caught:
        unbundle.unbundle(path)
    assert "\n" not in str(caught.value)
    assert below(home) == {}
    assert [p.name for p in home.iterdir() if p.name != ".lock"] == []
    return str(caught.value)


def test_what_tar_packed_is_unpacked(tmp_path: Path, home: Path) -> None:
    """The archives below would be, too, but for what is wrong with them."""
    names = ("data/x/y", "data/x/deep/z", "eval/core/core.yaml", "runs/x/run.json")
    made = hostile(
        tmp_path / "x.tar", [listed(n) for n in names], [(member(n, b"x"), b"x") for n in names]
    )
    assert unbundle.unbundle(made).new == ["data/x", "eval", "runs/x"]
    assert below(home) == dict.fromkeys(names, b"x")


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "data/x/../../../outside",
        "/data/x/y",
        "data//y",
        "data/x/./y",
        "data/x",
        "runs/x",
        "eval",
        "other/x/y",
        "data\\x\\y",
        "data/x/\n",
        "data/.tmp-x/y",
        "data/x/" + "y" * 300,
        "",
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path, home: Path) -> None:
    made = hostile(tmp_path / "x.tar", [listed(name)], [(member(name, b"x"), b"x")])
    said = refused(made, home)
    assert "no plain relative path" in said or "no place in $FIRSTWORDS_HOME" in said


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
    ],
)
def test_all_but_plain_files_are_refused(kind: bytes, tmp_path: Path, home: Path) -> None:
    content = b"" if kind != tarfile.GNUTYPE_SPARSE else b"x"
    made = hostile(
        tmp_path / "x.tar",
        [listed("data/x/y", content)],
        [(member("data/x/y", content, kind), content)],
    )
    assert "is no plain file" in refused(made, home)


X = (member("data/x/y", b"x"), b"x")
OTHER = (member("data/x/z", b"x"), b"x")


@pytest.mark.parametrize(
    ("files", "members", "says"),
    [
        ([listed("data/x/y", b"y")], [X], "does not match its checksum"),
        ([listed("data/x/y", b"xx")], [X], "is not where it should be"),
        ([listed("data/x/y")], [], "is not where it should be"),
        ([listed("data/x/y")], [X, OTHER], "more than it lists"),
        ([listed("data/x/y"), listed("data/x/z")], [OTHER, X], "is not where it should be"),
        ([listed("data/x/y")], [X, X], "more than it lists"),
        ([listed("data/x/y"), listed("data/x/y")], [X, X], "names a file twice"),
        ([listed("data/x/y"), listed("data/x/y/z")], [X, OTHER], "names a file twice"),
        ([listed("data/x/y", bytes=-1)], [X], "files.0.bytes"),
        ([listed("data/x/y", sha256="0")], [X], "files.0.sha256"),
        ([listed("data/x/y", mode=0o777)], [X], "files.0.mode"),
    ],
)
def test_an_archive_that_is_not_as_it_says_is_refused(
    files: list[dict[str, Any]],
    members: list[tuple[tarfile.TarInfo, bytes]],
    says: str,
    tmp_path: Path,
    home: Path,
) -> None:
    assert says in refused(hostile(tmp_path / "x.tar", files, members), home)


def test_another_format_is_refused(tmp_path: Path, home: Path) -> None:
    assert "format" in refused(hostile(tmp_path / "x.tar", format=2), home)


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(1024), bytes(10240), b"\x28\xb5\x2f\xfd" + b"x" * 100]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path, home: Path) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    assert "damaged or no bundle" in refused(tmp_path / "x.tar", home)


def test_a_header_of_a_terabyte_is_not_believed(tmp_path: Path, home: Path) -> None:
    info = tarfile.TarInfo(MANIFEST)
    info.size = 1 << 40
    header = info.tobuf(tarfile.GNU_FORMAT)
    with (tmp_path / "x.tar").open("wb") as file:
        file.write(header)
        file.truncate(1 << 30)
    assert "damaged or no bundle" in refused(tmp_path / "x.tar", home)


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A bundle in both forms."""
    root = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(root))
        fetched("tinystories")
        made = {}
        for ending in ("tar", "tar.zst"):
            out = root / f"x.{ending}"
            bundle.bundle(bundle.Request(out, data="hub:tinystories"))
            made[ending] = out.read_bytes()
        made["files"] = repr(sorted(below(root / "data").items())).encode()
    return made


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests with many examples."""
    return tmp_path_factory.mktemp("place")


def outcome(archive: bytes, place: Path) -> bytes | None:
    """What was unpacked of an archive; None if it was refused, and then nothing is there."""
    shutil.rmtree(place / "home", ignore_errors=True)
    (place / "x").write_bytes(archive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(place / "home"))
        try:
            unbundle.unbundle(place / "x")
        except UserError:
            assert below(place / "home") == {}
            return None
    return repr(sorted(below(place / "home" / "data").items())).encode()


@settings(max_examples=150)
@given(data=st.data(), ending=st.sampled_from(["tar", "tar.zst"]))
def test_a_flipped_bit_is_found_or_does_no_harm(
    data: st.DataObject, ending: str, packed: dict[str, bytes], place: Path
) -> None:
    archive = bytearray(packed[ending])
    bit = data.draw(st.integers(0, 8 * len(archive) - 1))
    archive[bit // 8] ^= 1 << bit % 8
    assert outcome(bytes(archive), place) in (None, packed["files"])


@given(data=st.data(), ending=st.sampled_from(["tar", "tar.zst"]))
def test_a_cut_off_archive_is_refused(
    data: st.DataObject, ending: str, packed: dict[str, bytes], place: Path
) -> None:
    length = data.draw(st.integers(0, len(packed[ending]) - 1))
    assert outcome(packed[ending][:length], place) is None


@pytest.mark.parametrize("ending", ["tar", "tar.zst"])
def test_something_after_the_end_is_refused(
    ending: str, packed: dict[str, bytes], place: Path
) -> None:
    assert outcome(packed[ending], place) == packed["files"]
    assert outcome(packed[ending] + b"more", place) is None


def test_a_content_changed_together_with_its_crc_is_found(
    packed: dict[str, bytes], place: Path
) -> None:
    """Compressed anew, so nothing but our own sums can find it."""
    changed = packed["tar"].replace(b"tale", b"tail", 3)
    assert outcome(pa.compress(changed, "zstd", asbytes=True), place) is None
    assert outcome(pa.compress(packed["tar"], "zstd", asbytes=True), place) == packed["files"]


def test_a_changed_manifest_is_found(packed: dict[str, bytes], place: Path) -> None:
    """Even where it would only tell a wrong command."""
    changed = packed["tar"].replace(b"hub:tinystories", b"hub:tinystoriez", 1)
    assert changed != packed["tar"]
    assert outcome(changed, place) is None
