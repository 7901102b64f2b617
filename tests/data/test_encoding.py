"""Encoding with several processes: the same bytes, bounded memory, no process left running."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from end_to_end import Bench, write_lines
from waiting import LIMIT_SECONDS

from firstwords.cli.main import run_command
from firstwords.common import disk, hardware
from firstwords.data import token_store
from firstwords.data.corpora import open_corpus
from firstwords.data.encoding import EncodedBatch, encode_all, encode_chats, encode_texts
from firstwords.data.token_store import Counts, store_conversations, store_texts
from firstwords.runs import datasets
from firstwords.tokenizer.bpe import Tokenizer

TEXTS = [f"Document {i}: the fox said hello {'é漢 ' * (i % 5)}\n" * (1 + i % 3) for i in range(60)]
CHATS = [
    [
        {"role": "user", "content": f"Is {i} a number?"},
        {"role": "assistant", "content": "Yes. " * i},
    ]
    for i in range(1, 60)
]
ALL = 10**9


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_store, "BATCH_DOCUMENTS", 4)
    monkeypatch.setattr(token_store, "SHARD_TOKENS", 300)


def read_only(tokenizer: Tokenizer, texts: list[str], threads: int | None) -> EncodedBatch:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/data/text")


@pytest.mark.slow
def test_a_disk_that_fails_in_another_process_is_reported_by_this_one(
    tiny_tokenizer: Tokenizer,
) -> None:
    with pytest.raises(OSError, match="Read-only") as caught:
        list(encode_all(read_only, tiny_tokenizer, iter([TEXTS, TEXTS]), processes=2))
    assert str(disk.explain(caught.value)).startswith("the disk is read-only (/data/text)")
    assert not multiprocessing.active_children()


def quiet(counts: Counts) -> None:
    pass


def contents_of(directory: Path) -> dict[str, bytes]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@pytest.mark.parametrize("processes", [2, 3])
def test_the_number_of_processes_does_not_change_the_bytes(
    processes: int, tiny_tokenizer: Tokenizer, tmp_path: Path, small: None
) -> None:
    for number, n_tokens in ((1, ALL), (processes, ALL), (1, 500), (processes, 500)):
        at = tmp_path / f"{number} {n_tokens}"
        store_texts(at / "text", TEXTS, tiny_tokenizer, n_tokens, quiet, number)
        store_conversations(at / "talks", CHATS, tiny_tokenizer, n_tokens, quiet, number)
    for n_tokens in (ALL, 500):
        single, several = (contents_of(tmp_path / f"{n} {n_tokens}") for n in (1, processes))
        assert single == several
        assert len(single) > 10


def test_few_batches_are_read_ahead(tiny_tokenizer: Tokenizer) -> None:
    read = []

    def batches() -> Iterator[list[str]]:
        for number in range(100):
            read.append(number)
            yield [f"text {number}"] * 3

    encoded = encode_all(encode_texts, tiny_tokenizer, batches(), processes=2)
    first = next(encoded)
    assert first.ids.tolist() == 3 * [*first.ids[: first.lengths[0]]]
    assert len(read) <= 6
    encoded.close()
    assert len(read) <= 6


def test_encoding_resumes_after_a_worker_was_killed(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small: None
) -> None:
    many = TEXTS * 20
    store_texts(tmp_path / "whole", many, tiny_tokenizer, ALL, quiet)
    me, reports = psutil.Process(), []

    def kill_one(counts: Counts) -> None:
        reports.append(counts)
        if len(reports) == 6:
            worker = next(p for p in me.children() if "spawn_main" in " ".join(p.cmdline()))
            worker.kill()
            # Waited for but not reaped: only the pool may do that, or it waits for it forever.
            with suppress(ChildProcessError):  # the pool was faster
                os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)

    with pytest.raises(MemoryError, match="was killed"):
        store_texts(tmp_path / "cut", many, tiny_tokenizer, ALL, kill_one, 2)
    assert "00000/ids.npy" in contents_of(tmp_path / "cut")
    assert "complete.json" not in contents_of(tmp_path / "cut")
    store_texts(tmp_path / "cut", many, tiny_tokenizer, ALL, quiet, 2)
    assert contents_of(tmp_path / "cut") == contents_of(tmp_path / "whole")


SCRIPT = """
import os, sys
from pathlib import Path
if __name__ == "__main__":
    from firstwords.data import token_store
    from firstwords.data.token_store import store_texts
    from firstwords.tokenizer.bpe import Tokenizer
    token_store.BATCH_DOCUMENTS, token_store.SHARD_TOKENS = 4, 300
    os.fsync = lambda descriptor: None
    at, tokenizer = Path(sys.argv[1]), Tokenizer.load(Path(sys.argv[2]))
    texts = [f"Document {i}: the fox said hello" for i in range(6_000)]
    store_texts(at, texts, tokenizer, 10**9, lambda counts: None, 2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_a_signal_ends_all_processes_and_encoding_resumes(
    signal_number: signal.Signals, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tiny_tokenizer.save(tmp_path / "tokenizer.json")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", str(tmp_path / "cut"), "tokenizer.json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(list((tmp_path / "cut").glob("[0-9]*"))) < 10:
        assert process.poll() is None
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    if signal_number == signal.SIGINT:  # a terminal sends it to all of them
        os.killpg(process.pid, signal_number)
    else:
        process.kill()
    stderr = process.communicate(timeout=LIMIT_SECONDS)[1]
    # Only the script itself prints a traceback, not its children.
    assert stderr.count("\nKeyboardInterrupt") == (signal_number == signal.SIGINT)
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=LIMIT_SECONDS)[1] == []
    n_shards = len(list((tmp_path / "cut").glob("[0-9]*")))
    subprocess.run(command, cwd=tmp_path, check=True)
    assert len(list((tmp_path / "cut").glob("[0-9]*"))) > n_shards
    texts = [f"Document {i}: the fox said hello" for i in range(6_000)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_store, "BATCH_DOCUMENTS", 4)
        patch.setattr(token_store, "SHARD_TOKENS", 300)
        store_texts(tmp_path / "whole", texts, tiny_tokenizer, ALL, quiet)
    assert contents_of(tmp_path / "cut") == contents_of(tmp_path / "whole")


def test_a_batch_of_conversations_has_consistent_counts(tiny_tokenizer: Tokenizer) -> None:
    batch = encode_chats(tiny_tokenizer, CHATS[:5])
    assert batch.counts == (5, len(batch.ids), sum(len(m["content"]) for t in CHATS[:5] for m in t))
    assert batch.mask.any()
    assert len(batch.mask) == len(batch.ids) == batch.lengths.sum()


# --- a run ----------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path, pretrain=4, midtrain=2, sft=2)
    monkeypatch.setenv("FIRSTWORDS_HOME", str(bench.home))
    monkeypatch.chdir(bench.cwd)
    return bench


def test_data_encode_prepares_all_tokens_of_a_run(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["data", "encode", "--run", "x"]) == 2
    arguments = ["--recipe", str(bench.recipe), "--data", str(bench.text), "--run", "x"]
    assert run_command(["tokenizer", *arguments, "--chat-data", str(bench.chat)]) == 0
    capsys.readouterr()
    assert run_command(["data", "encode"]) == 0
    assert "conversations (val)" in capsys.readouterr().err
    tokens = bench.directory("x") / "tokens"
    assert len(list(tokens.glob("*/*/complete.json"))) == 4
    times = {path: path.stat().st_mtime_ns for path in tokens.rglob("*")}
    assert run_command(["pretrain", "--run", "x"]) == 0
    assert {path: path.stat().st_mtime_ns for path in tokens.rglob("*")} == times


def test_encoding_restarts_if_the_files_have_changed(
    tmp_path: Path, home: Path, tiny_tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    write_lines(folder / "a.jsonl", [{"text": "a"}] * 3)
    directory = home / "tokens" / "train"

    def discard() -> None:
        corpus = open_corpus(str(folder), "--data")
        datasets.discard_if_source_changed(directory, corpus, tiny_tokenizer)

    discard()
    (directory / "00000").mkdir(parents=True)
    discard()
    assert directory.exists()
    write_lines(folder / "b.jsonl", [{"text": "b"}] * 3)
    discard()
    assert not directory.exists()
    assert "encoding them from the start" in capsys.readouterr().err
    assert (
        json.loads((home / "tokens" / "train.source.json").read_text())["files"][1][0] == "b.jsonl"
    )


def test_few_tokens_are_encoded_by_one_process() -> None:
    assert datasets.encoding_processes(datasets.MIN_TOKENS_FOR_PROCESSES - 1) == 1
    assert (
        datasets.encoding_processes(datasets.MIN_TOKENS_FOR_PROCESSES) == hardware.physical_cores()
    )
