"""Measure the speed of encoding text with one process and with several.

    python benchmarks/encoding.py DIRECTORY [--megabytes 100] [--processes 1,2,4]

Each line of the output is a new process that encodes the same text, read repeatedly until there is
enough of it. Beside the rate are the CPU seconds of the process that reads and of those that
encode. The reader's CPU time limits how far more encoders help, regardless of the machine's load.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, count, islice
from pathlib import Path

CHILD_FLAG = "--child"
SAMPLE_DOCUMENTS = 2_000  # that train the tokenizer
VOCAB_SIZE = 4096
# Linux counts the peak in kilobytes, macOS in bytes.
BYTES_PER_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--megabytes", type=float, default=100.0)
    parser.add_argument("--processes", default="1,2,4")
    options = parser.parse_args()
    print("processes     MB/s  reader, s  encoders, s  reader's peak, MB")
    for processes in options.processes.split(","):
        command = [sys.executable, __file__, CHILD_FLAG, options.directory, str(options.megabytes)]
        subprocess.run([*command, processes], check=True)


def measure_encoding(directory: str, megabytes: float, processes: int) -> None:
    """Encode the text and print a line of the table."""
    from firstwords.data import corpora
    from firstwords.data.token_store import store_texts
    from firstwords.tokenizer.bpe import Tokenizer

    corpus = corpora.open_corpus(directory, "DIRECTORY")

    def texts() -> Iterator[str]:
        n_bytes = 0
        for text in chain.from_iterable(corpora.texts(corpus, "train", seed) for seed in count()):
            if n_bytes >= megabytes * 1e6:
                return
            n_bytes += len(text.encode())
            yield text

    tokenizer = Tokenizer.train(list(islice(texts(), SAMPLE_DOCUMENTS)), VOCAB_SIZE)
    started, cpu_before = time.monotonic(), cpu_seconds(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as folder:
        store = store_texts(Path(folder), texts(), tokenizer, 10**12, lambda done: None, processes)
    rate = store.counts.text_bytes / 1e6 / (time.monotonic() - started)
    reader = cpu_seconds(resource.RUSAGE_SELF) - cpu_before
    encoders = cpu_seconds(resource.RUSAGE_CHILDREN)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_MAXRSS_UNIT / 1e6
    print(f"{processes:9}  {rate:7.1f}  {reader:9.1f}  {encoders:11.1f}  {peak:17.0f}")


def cpu_seconds(who: int) -> float:
    """Return the CPU time used by this process or by its children."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD_FLAG]:
        measure_encoding(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
