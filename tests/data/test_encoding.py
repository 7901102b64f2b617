"""Encoding with several processes: the same bytes, bounded memory, no process left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from end_to_end import Bench, write_lines

from firstwords import machine
from firstwords.cli import run_command
from firstwords.data import tokens
from firstwords.data.encoding import encode_all, encode_talks, encode_texts
from firstwords.data.tokens import Counts, store_conversations, store_texts
from firstwords.stages import common
from firstwords.tokenizer import Tokenizer

TEXTS = [f"Document {i}: the fox said hello {'é漢 ' * (i % 5)}\n" * (1 + i % 3) for i in range(60)]
TALKS = [
    [
        {"role": "user", "content": f"Is {i} a number?"},
        {"role": "assistant", "content": "Yes. " * i},
    ]
    for i in range(1, 60)
]
ALL = 10**9


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "BATCH_DOCUMENTS", 4)
    monkeypatch.setattr(tokens, "SHARD_TOKENS", 300)


def quiet(counts: Counts) -> None:
    pass


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@pytest.mark.parametrize("processes", [2, 3])
def test_any_number_of_processes_writes_the_same_bytes(
    processes: int, tiny_tokenizer: Tokenizer, tmp_path: Path, small: None
) -> None:
    for number, wanted in ((1, ALL), (processes, ALL), (1, 500), (processes, 500)):
        at = tmp_path / f"{number} {wanted}"
        store_texts(at / "text", TEXTS, tiny_tokenizer, wanted, quiet, number)
        store_conversations(at / "talks", TALKS, tiny_tokenizer, wanted, quiet, number)
    for wanted in (ALL, 500):
        alone, together = (contents(tmp_path / f"{n} {wanted}") for n in (1, processes))
        assert alone == together
        assert len(alone) > 10


def test_little_is_read_ahead(tiny_tokenizer: Tokenizer) -> None:
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


def test_what_a_killed_worker_had_is_made_again(
    tiny_tokenizer: Tokenizer, tmp_path: Path, small: None
) -> None:
    many = TEXTS * 20
    store_texts(tmp_path / "whole", many, tiny_tokenizer, ALL, quiet)
    me, reports = psutil.Process(), []

    def kill_one(counts: Counts) -> None:
        reports.append(counts)
        if len(reports) == 6:
            next(p for p in me.children() if "spawn_main" in " ".join(p.cmdline())).kill()
            time.sleep(0.2)

    with pytest.raises(MemoryError, match="was killed"):
        store_texts(tmp_path / "cut", many, tiny_tokenizer, ALL, kill_one, 2)
    assert "00000/ids.npy" in contents(tmp_path / "cut")
    assert "complete.json" not in contents(tmp_path / "cut")
    store_texts(tmp_path / "cut", many, tiny_tokenizer, ALL, quiet, 2)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


SCRIPT = """
import os, sys
from pathlib import Path
if __name__ == "__main__":
    from firstwords.data import tokens
    from firstwords.data.tokens import store_texts
    from firstwords.tokenizer import Tokenizer
    tokens.BATCH_DOCUMENTS, tokens.SHARD_TOKENS, os.fsync = 4, 300, lambda descriptor: None
    at, tokenizer = Path(sys.argv[1]), Tokenizer.load(Path(sys.argv[2]))
    texts = [f"Document {i}: the fox said hello" for i in range(6_000)]
    store_texts(at, texts, tokenizer, 10**9, lambda counts: None, 2)
"""


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_a_stop_leaves_no_process_behind_and_goes_on(
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
    said = process.communicate(timeout=30)[1]
    assert said.count("\nKeyboardInterrupt") == (signal_number == signal.SIGINT)  # the script's own
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=20)[1] == []
    done = len(list((tmp_path / "cut").glob("[0-9]*")))
    subprocess.run(command, cwd=tmp_path, check=True)
    assert len(list((tmp_path / "cut").glob("[0-9]*"))) > done
    texts = [f"Document {i}: the fox said hello" for i in range(6_000)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "BATCH_DOCUMENTS", 4)
        patch.setattr(tokens, "SHARD_TOKENS", 300)
        store_texts(tmp_path / "whole", texts, tiny_tokenizer, ALL, quiet)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_the_batches_of_conversations_are_whole(tiny_tokenizer: Tokenizer) -> None:
    batch = encode_talks(tiny_tokenizer, TALKS[:5])
    assert batch.counts == (5, len(batch.ids), sum(len(m["content"]) for t in TALKS[:5] for m in t))
    assert batch.mask.any()
    assert len(batch.mask) == len(batch.ids) == batch.lengths.sum()


# --- a run ----------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, base=4, mid=2, sft=2)
    monkeypatch.setenv("FIRSTWORDS_HOME", str(made.home))
    monkeypatch.chdir(made.cwd)
    return made


def test_a_run_is_encoded_before_it_trains(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["data", "encode", "--run", "x"]) == 2
    arguments = ["--recipe", str(bench.recipe), "--data", str(bench.text), "--run", "x"]
    assert run_command(["tokenizer", *arguments, "--chat-data", str(bench.chat)]) == 0
    capsys.readouterr()
    assert run_command(["data", "encode"]) == 0
    assert "conversations (val)" in capsys.readouterr().err
    made = bench.directory("x") / "tokens"
    assert len(list(made.glob("*/*/complete.json"))) == 4
    times = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert run_command(["pretrain", "--run", "x"]) == 0
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == times


def test_an_encoding_whose_files_changed_starts_anew(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from firstwords.data.corpora import open_corpus

    folder = tmp_path / "texts"
    folder.mkdir()
    write_lines(folder / "a.jsonl", [{"text": "a"}] * 3)
    at = home / "tokens" / "train"
    common._check_source(at, open_corpus(str(folder), "--data"))
    (at / "00000").mkdir(parents=True)
    common._check_source(at, open_corpus(str(folder), "--data"))
    assert at.exists()
    write_lines(folder / "b.jsonl", [{"text": "b"}] * 3)
    common._check_source(at, open_corpus(str(folder), "--data"))
    assert not at.exists()
    assert "starts anew" in capsys.readouterr().err
    assert json.loads((home / "tokens" / "train.source.json").read_text())[1][0] == "b.jsonl"


def test_few_tokens_are_not_worth_processes() -> None:
    assert common.encoders(common.WORTH_PROCESSES - 1) == 1
    assert common.encoders(common.WORTH_PROCESSES) == machine.physical_cores()
