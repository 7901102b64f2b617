"""Bundles: packed files arrive unchanged, and damaged or hostile archives are refused."""

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

from firstwords.bundle.bundle import BundleRequest, create_bundle
from firstwords.bundle.manifest import BUNDLE_CHECKSUM, BUNDLE_MANIFEST
from firstwords.bundle.unbundle import unpack_bundle
from firstwords.cli.main import run_command
from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.data.hub import manifest
from firstwords.data.hub.manifest import CorpusManifest, FileEntry
from firstwords.recipe import Recipe
from firstwords.runs import registry, run
from firstwords.runs.manifest import Manifest, Sources, now

RunData = Callable[..., tuple[int, str]]


@pytest.fixture
def run_data(capsys: pytest.CaptureFixture[str]) -> RunData:
    """Run `firstwords data ...` and return its exit code and output."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        code = run_command(["data", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def write_fetched(name: str, seed: int = 0) -> dict[str, bytes]:
    """Write a corpus as if fetched: two training files and a held-out one."""
    folder, contents = manifest.corpus_folder(name), {}
    for file in ("a.jsonl", "b.jsonl", "val.jsonl"):
        words = random.Random(f"{seed} {name} {file}")
        lines = [{"text": f"{file} {words.random()} tale"} for _ in range(60)]
        folder.mkdir(parents=True, exist_ok=True)
        contents[file] = write_lines(folder / file, lines).read_bytes()
    entries = [
        FileEntry(
            path=file,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            held_out=file == "val.jsonl",
        )
        for file, content in contents.items()
    ]
    corpus = CorpusManifest(origin="x/y", revision="0" * 40, files=tuple(entries))
    manifest.write_manifest(folder, corpus)
    return contents


def write_own(folder: Path) -> Path:
    """Write a user's directory of texts, with a subdirectory."""
    (folder / "deep").mkdir(parents=True)
    write_lines(folder / "a.jsonl", [{"text": f"own a {i}"} for i in range(60)])
    write_lines(folder / "deep" / "b.jsonl", [{"text": f"own b {i}"} for i in range(60)])
    write_lines(folder / "deep" / "val.jsonl", [{"text": f"own val {i}"} for i in range(60)])
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Switch to another machine: an empty home with another name."""

    def go() -> Path:
        home = tmp_path / "other home"
        monkeypatch.setenv("FIRSTWORDS_HOME", str(home))
        return home

    return go


def contents_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def read(source: str, split: corpora.Split = "train") -> list[str]:
    return list(corpora.texts(corpora.open_corpus(source, "--data"), split, 5))


# --- round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["tar", "tar.zst"])
def test_fetched_corpora_arrive_unchanged(
    ending: str, run_data: RunData, tmp_path: Path, home: Path, elsewhere: Callable[[], Path]
) -> None:
    write_fetched("tinystories"), write_fetched("smoltalk"), write_fetched("eval")
    before, texts = contents_of(home), read("hub:tinystories")
    out = tmp_path / f"all.{ending}"
    sources = ("--data", "hub:tinystories", "--chat-data", "hub:smoltalk", "--eval")
    code, output = run_data("bundle", *sources, "--out", out)
    assert code == 0, output
    assert f"firstwords data unbundle all.{ending}" in output
    other = elsewhere()
    code, output = run_data("unbundle", out)
    assert code == 0, output
    assert "firstwords train --data hub:tinystories --chat-data hub:smoltalk" in output
    assert contents_of(other) == before
    assert read("hub:tinystories") == texts
    assert run_data("verify")[0] == 0
    assert not list(other.glob(f"{files.TEMPORARY}*"))


def test_a_directory_of_texts_arrives_under_a_name(
    run_data: RunData, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    folder = write_own(tmp_path / "my texts.v2")
    out = tmp_path / "own.tar"
    texts = [read(str(folder), split) for split in corpora.SPLITS]
    assert run_data("bundle", "--data", folder, "--chat-data", "starter", "--out", out)[0] == 0
    elsewhere()
    code, output = run_data("unbundle", out)
    assert code == 0
    assert "firstwords train --data hub:my-texts --chat-data starter" in output
    assert [read("hub:my-texts", split) for split in corpora.SPLITS] == texts


def test_a_single_file_is_training_data_whatever_its_name(
    run_data: RunData, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    path = write_lines(tmp_path / "val.jsonl", [{"text": f"text {i}"} for i in range(60)])
    texts = read(str(path))
    assert run_data("bundle", "--data", path, "--out", tmp_path / "x.tar")[0] == 0
    elsewhere()
    assert run_data("unbundle", tmp_path / "x.tar")[0] == 0
    assert read("hub:val") == texts


def test_names_of_own_directories_do_not_collide(run_data: RunData, tmp_path: Path) -> None:
    for place in ("one", "two"):
        write_own(tmp_path / place / "tinystories")
    sources = ("--data", tmp_path / "one/tinystories", "--chat-data", tmp_path / "two/tinystories")
    assert run_data("bundle", *sources, "--out", tmp_path / "x.tar")[0] == 0
    with tarfile.open(tmp_path / "x.tar") as archive:
        units = {name.split("/")[1] for name in archive.getnames() if name.startswith("data/")}
    assert units == {"own-tinystories", "own-own-tinystories"}


def make_run(name: str, planned: dict[str, Any], data: str) -> run.Run:
    with registry.lock_run(name) as directory:
        manifest = Manifest(
            firstwords="1",
            created=now(),
            time=30.0,
            sources=Sources(data=data, chat_data="starter"),
            recipe=Recipe.model_validate(planned),
            machine={},
            predicted={},
        )
        made = registry.create_run(directory, manifest)
        files.write_text(made.tokenizer_path, "the tokenizer")
        files.write_text(made.tokens("text", "train") / "00000" / "ids.npy", "tokens")
    return made


def test_a_run_arrives_with_its_sources(
    run_data: RunData, tmp_path: Path, home: Path, elsewhere: Callable[[], Path]
) -> None:
    folder = write_own(tmp_path / "texts")
    made = make_run("x", recipe(), str(folder))
    (made.directory / ".tmp-half").write_text("partial")
    assert run_data("bundle", "--run", "x", "--out", tmp_path / "x.tar")[0] == 0
    before, texts = contents_of(home / "runs"), read(str(folder))
    other = elsewhere()
    shutil.rmtree(folder)
    code, output = run_data("unbundle", tmp_path / "x.tar")
    assert code == 0
    assert "firstwords train --run x" in output
    assert registry.open_run("x").manifest.sources == Sources(data="hub:texts", chat_data="starter")
    assert read("hub:texts") == texts
    after = contents_of(other / "runs")
    for contents in (before, after):
        contents.pop("x/run.json")
        contents.pop("x/checkpoints/run.json", None)
        contents.pop("x/lock", None)
    assert after == before


def test_the_same_files_give_the_same_bytes(run_data: RunData, tmp_path: Path, home: Path) -> None:
    write_fetched("tinystories")
    for ending in ("tar", "tar.zst"):
        archives = []
        for count in range(2):
            out = tmp_path / f"{count}.{ending}"
            assert run_data("bundle", "--data", "hub:tinystories", "--out", out)[0] == 0
            archives.append(out.read_bytes())
            for path in home.rglob("*"):
                path.touch()
        assert archives[0] == archives[1]


def test_tar_opens_a_bundle(run_data: RunData, tmp_path: Path, home: Path) -> None:
    contents = write_fetched("tinystories")
    assert run_data("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")[0] == 0
    with tarfile.open(tmp_path / "x.tar") as archive:
        members = {info.name: archive.extractfile(info) for info in archive.getmembers()}
        unpacked = {name: file.read() for name, file in members.items() if file}
    assert unpacked["data/tinystories/b.jsonl"] == contents["b.jsonl"]
    digest, name = unpacked[BUNDLE_CHECKSUM].decode().split()
    assert hashlib.sha256(unpacked[name]).hexdigest() == digest


@pytest.mark.parametrize("was_fetched", [True, False])
def test_a_run_with_benchmarks_is_packed_with_their_data(
    was_fetched: bool, run_data: RunData, tmp_path: Path
) -> None:
    make_run("x", recipe(benchmark_items=5), "starter")
    if was_fetched:
        write_fetched("eval")
    code, output = run_data("bundle", "--run", "x", "--out", tmp_path / "x.tar")
    assert code == 0
    assert ("not packed" in output) is not was_fetched
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert ("eval/a.jsonl" in archive.getnames()) is was_fetched


def test_unpacking_twice_changes_nothing(
    run_data: RunData, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    write_fetched("tinystories")
    run_data("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")
    other = elsewhere()
    run_data("unbundle", tmp_path / "x.tar")
    before = contents_of(other)
    code, output = run_data("unbundle", tmp_path / "x.tar")
    assert code == 0
    assert "data/tinystories already exists" in output
    assert contents_of(other) == before


def test_unpacking_repairs_a_damaged_corpus(
    run_data: RunData, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    write_fetched("tinystories")
    run_data("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")
    other = elsewhere()
    run_data("unbundle", tmp_path / "x.tar")
    before = contents_of(other)
    (other / "data/tinystories/a.jsonl").write_text("half")
    (other / "data/tinystories/b.jsonl").unlink()
    assert run_data("verify")[0] == 1
    assert run_data("unbundle", tmp_path / "x.tar")[0] == 0
    assert contents_of(other) == before


# --- errors ---------------------------------------------------------------------------------------


def test_a_damaged_corpus_is_not_packed(run_data: RunData, tmp_path: Path, home: Path) -> None:
    write_fetched("tinystories")
    path = home / "data/tinystories/a.jsonl"
    path.write_bytes(path.read_bytes().replace(b"tale", b"tail", 1))
    code, output = run_data("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")
    assert code == 2
    assert "firstwords data fetch tinystories" in output
    path.unlink()
    assert run_data("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")[0] == 2
    assert not (tmp_path / "x.tar").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data", "starter", "--out", "x.tar"], "has no files"),
        (["--out", "x.tar"], "give --run, --eval"),
        (["--data", "hub:tinystories", "--out", "x.tar"], "firstwords data fetch tinystories"),
        (["--eval", "--out", "x.tar"], "firstwords data fetch eval"),
        (["--eval", "--out", "x.zip"], "unknown file type"),
        (["--run", "x", "--data", "starter", "--out", "x.tar"], "--run cannot be combined"),
        (["--run", "x", "--out", "x.tar"], "does not exist"),
    ],
)
def test_a_request_that_cannot_be_packed_is_an_error(
    arguments: list[str],
    expected: str,
    run_data: RunData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = run_data("bundle", *arguments)
    assert code == 2
    assert expected in output
    assert not list(tmp_path.glob("*.tar"))


def test_a_different_run_of_that_name_is_not_overwritten(
    run_data: RunData, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    make_run("x", recipe(), "starter")
    run_data("bundle", "--run", "x", "--out", tmp_path / "x.tar")
    other = elsewhere()
    make_run("x", recipe(pretrain=7), "starter")
    before = contents_of(other)
    code, output = run_data("unbundle", tmp_path / "x.tar")
    assert code == 2
    assert "exists and differs" in output
    assert contents_of(other) == before


def test_unpacking_deletes_no_files_that_the_bundle_lacks(
    run_data: RunData, tmp_path: Path, elsewhere: Callable[[], Path]
) -> None:
    write_fetched("tinystories"), write_fetched("smoltalk")
    sources = ("--data", "hub:tinystories", "--chat-data", "hub:smoltalk")
    run_data("bundle", *sources, "--out", tmp_path / "x.tar")
    other = elsewhere()
    write_fetched("tinystories", seed=1)
    (other / "data/tinystories/c.jsonl").write_text("one more shard")
    before = contents_of(other)
    code, output = run_data("unbundle", tmp_path / "x.tar")
    assert code == 2
    assert "c.jsonl" in output
    assert contents_of(other) == before


def test_too_little_disk_space_is_an_error_before_any_change(
    run_data: RunData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: Callable[[], Path],
) -> None:
    write_fetched("tinystories")
    run_data("bundle", "--data", "hub:tinystories", "--out", tmp_path / "x.tar")
    monkeypatch.setattr("firstwords.common.paths.free_disk", lambda folder: 1000)
    code, output = run_data("bundle", "--data", "hub:tinystories", "--out", tmp_path / "y.tar")
    assert (code, "not enough disk space" in output) == (2, True)
    other = elsewhere()
    code, output = run_data("unbundle", tmp_path / "x.tar")
    assert (code, "not enough disk space" in output) == (2, True)
    assert contents_of(other) == {}


# --- hostile archives -----------------------------------------------------------------------------


def hostile(
    path: Path,
    listed: list[dict[str, Any]] | None = None,
    members: list[tuple[tarfile.TarInfo, bytes]] | None = None,
    **changes: Any,
) -> Path:
    """Write an archive with the right checksum of its manifest, as an attacker could."""
    document = {"format": 1, "firstwords": "1", "files": listed or [], **changes}
    text = json.dumps(document).encode()
    sum_line = f"{hashlib.sha256(text).hexdigest()}  {BUNDLE_MANIFEST}\n".encode()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in ((BUNDLE_MANIFEST, text), (BUNDLE_CHECKSUM, sum_line)):
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


def refusal(path: Path, home: Path) -> str:
    """Return the error; nothing must have been unpacked."""
    with pytest.raises(UserError) as caught:
        unpack_bundle(path)
    assert "\n" not in str(caught.value)
    assert contents_of(home) == {}
    assert [p.name for p in home.iterdir() if p.name != ".lock"] == []
    return str(caught.value)


def test_an_archive_written_by_tar_is_unpacked(tmp_path: Path, home: Path) -> None:
    """The archives below are like it, except for one fault each."""
    names = ("data/x/y", "data/x/deep/z", "eval/core/core.yaml", "runs/x/run.json")
    made = hostile(
        tmp_path / "x.tar", [listed(n) for n in names], [(member(n, b"x"), b"x") for n in names]
    )
    assert unpack_bundle(made).new == ["data/x", "eval", "runs/x"]
    assert contents_of(home) == dict.fromkeys(names, b"x")


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
def test_paths_outside_of_a_unit_are_refused(name: str, tmp_path: Path, home: Path) -> None:
    made = hostile(tmp_path / "x.tar", [listed(name)], [(member(name, b"x"), b"x")])
    output = refusal(made, home)
    assert "not a plain relative path" in output or "not a path inside data/NAME" in output


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
def test_members_other_than_regular_files_are_refused(
    kind: bytes, tmp_path: Path, home: Path
) -> None:
    content = b"" if kind != tarfile.GNUTYPE_SPARSE else b"x"
    made = hostile(
        tmp_path / "x.tar",
        [listed("data/x/y", content)],
        [(member("data/x/y", content, kind), content)],
    )
    assert "is not a regular file" in refusal(made, home)


X = (member("data/x/y", b"x"), b"x")
OTHER = (member("data/x/z", b"x"), b"x")


@pytest.mark.parametrize(
    ("files", "members", "expected"),
    [
        ([listed("data/x/y", b"y")], [X], "does not match its checksum"),
        ([listed("data/x/y", b"xx")], [X], "is missing from its place"),
        ([listed("data/x/y")], [], "is missing from its place"),
        ([listed("data/x/y")], [X, OTHER], "that its manifest does not list"),
        ([listed("data/x/y"), listed("data/x/z")], [OTHER, X], "is missing from its place"),
        ([listed("data/x/y")], [X, X], "that its manifest does not list"),
        ([listed("data/x/y"), listed("data/x/y")], [X, X], "names a path twice"),
        ([listed("data/x/y"), listed("data/x/y/z")], [X, OTHER], "names a path twice"),
        ([listed("data/x/y", bytes=-1)], [X], "files.0.bytes"),
        ([listed("data/x/y", sha256="0")], [X], "files.0.sha256"),
        ([listed("data/x/y", mode=0o777)], [X], "files.0.mode"),
    ],
)
def test_an_archive_that_differs_from_its_manifest_is_refused(
    files: list[dict[str, Any]],
    members: list[tuple[tarfile.TarInfo, bytes]],
    expected: str,
    tmp_path: Path,
    home: Path,
) -> None:
    assert expected in refusal(hostile(tmp_path / "x.tar", files, members), home)


def test_another_format_is_refused(tmp_path: Path, home: Path) -> None:
    assert "format" in refusal(hostile(tmp_path / "x.tar", format=2), home)


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(1024), bytes(10240), b"\x28\xb5\x2f\xfd" + b"x" * 100]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path, home: Path) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    assert "damaged or not a bundle" in refusal(tmp_path / "x.tar", home)


def test_a_header_that_claims_a_terabyte_is_refused(tmp_path: Path, home: Path) -> None:
    info = tarfile.TarInfo(BUNDLE_MANIFEST)
    info.size = 1 << 40
    header = info.tobuf(tarfile.GNU_FORMAT)
    with (tmp_path / "x.tar").open("wb") as file:
        file.write(header)
        file.truncate(1 << 30)
    assert "damaged or not a bundle" in refusal(tmp_path / "x.tar", home)


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return a bundle, plain and compressed, and the files that it holds."""
    root = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(root))
        write_fetched("tinystories")
        archives = {}
        for ending in ("tar", "tar.zst"):
            out = root / f"x.{ending}"
            create_bundle(BundleRequest(out, data="hub:tinystories"))
            archives[ending] = out.read_bytes()
        archives["files"] = repr(sorted(contents_of(root / "data").items())).encode()
    return archives


@pytest.fixture(scope="session")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for tests with many examples."""
    return tmp_path_factory.mktemp("workdir")


def unpack(archive: bytes, workdir: Path) -> bytes | None:
    """Return the unpacked files, or None if the archive was refused; then nothing is unpacked."""
    shutil.rmtree(workdir / "home", ignore_errors=True)
    (workdir / "x").write_bytes(archive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(workdir / "home"))
        try:
            unpack_bundle(workdir / "x")
        except UserError:
            assert contents_of(workdir / "home") == {}
            return None
    return repr(sorted(contents_of(workdir / "home" / "data").items())).encode()


@settings(max_examples=150)
@given(data=st.data(), ending=st.sampled_from(["tar", "tar.zst"]))
def test_a_flipped_bit_is_detected_or_harmless(
    data: st.DataObject, ending: str, packed: dict[str, bytes], workdir: Path
) -> None:
    archive = bytearray(packed[ending])
    bit = data.draw(st.integers(0, 8 * len(archive) - 1))
    archive[bit // 8] ^= 1 << bit % 8
    assert unpack(bytes(archive), workdir) in (None, packed["files"])


@given(data=st.data(), ending=st.sampled_from(["tar", "tar.zst"]))
def test_a_cut_off_archive_is_refused(
    data: st.DataObject, ending: str, packed: dict[str, bytes], workdir: Path
) -> None:
    length = data.draw(st.integers(0, len(packed[ending]) - 1))
    assert unpack(packed[ending][:length], workdir) is None


@pytest.mark.parametrize("ending", ["tar", "tar.zst"])
def test_data_after_the_end_is_refused(
    ending: str, packed: dict[str, bytes], workdir: Path
) -> None:
    assert unpack(packed[ending], workdir) == packed["files"]
    assert unpack(packed[ending] + b"more", workdir) is None


def test_a_change_is_detected_without_zstds_checksum(
    packed: dict[str, bytes], workdir: Path
) -> None:
    """The changed archive is compressed again, so only its own SHA-256 can detect the change."""
    changed = packed["tar"].replace(b"tale", b"tail", 3)
    assert unpack(pa.compress(changed, "zstd", asbytes=True), workdir) is None
    assert unpack(pa.compress(packed["tar"], "zstd", asbytes=True), workdir) == packed["files"]


def test_a_changed_manifest_is_detected(packed: dict[str, bytes], workdir: Path) -> None:
    """Even where the change would only print a wrong command."""
    changed = packed["tar"].replace(b"hub:tinystories", b"hub:tinystoriez", 1)
    assert changed != packed["tar"]
    assert unpack(changed, workdir) is None
