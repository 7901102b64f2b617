"""How fast text becomes tokens, with more and more processes.

    python benchmarks/encoding.py DIRECTORY [--megabytes 100] [--processes 1,2,4]

Each line is a fresh process that encodes the same text, read again and again until there is enough
of it. Beside the rate stand the processor seconds of the process that reads and of those that
encode: the former bound how far more of the latter help, whatever else the machine is doing.
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

CHILD = "--child"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--megabytes", type=float, default=100.0)
    parser.add_argument("--processes", default="1,2,4")
    asked = parser.parse_args()
    print("processes     MB/s  reader, s  encoders, s  reader, MB at most")
    for processes in asked.processes.split(","):
        command = [sys.executable, __file__, CHILD, asked.directory, str(asked.megabytes)]
        subprocess.run([*command, processes], check=True)


def child(directory: str, megabytes: float, processes: int) -> None:
    from firstwords.data import corpora
    from firstwords.data.tokens import store_texts
    from firstwords.tokenizer import Tokenizer

    corpus = corpora.open_corpus(directory, "DIRECTORY")

    def texts() -> Iterator[str]:
        read = 0
        for text in chain.from_iterable(corpora.texts(corpus, "train", seed) for seed in count()):
            if read >= megabytes * 1e6:
                return
            read += len(text.encode())
            yield text

    sample = list(islice(texts(), 2_000))
    tokenizer = Tokenizer.train(sample, 4096)
    started, before = time.monotonic(), seconds(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as folder:
        made = store_texts(Path(folder), texts(), tokenizer, 10**12, lambda done: None, processes)
    rate = made.counts.text_bytes / 1e6 / (time.monotonic() - started)
    reader = seconds(resource.RUSAGE_SELF) - before
    encoders = seconds(resource.RUSAGE_CHILDREN)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if is_mac() else 1024) / 1e6
    print(f"{processes:9}  {rate:7.1f}  {reader:9.1f}  {encoders:11.1f}  {most:18.0f}")


def seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def is_mac() -> bool:
    return sys.platform == "darwin"  # which counts in bytes


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        child(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
