"""Fetch the benchmarks' data: all of evaluation that uses the network, and only when asked.

Every file is pinned by its revision and by the SHA-256 of its bytes; one that differs is not kept.
"""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from firstwords import console
from firstwords.errors import UserError

HUB = "https://huggingface.co/datasets/{}/resolve/{}/{}"
GITHUB = "https://raw.githubusercontent.com/{}/{}/{}"
AI2_ARC = "allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453"
MMLU = "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe"
GSM8K = "openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c"
HUMANEVAL = "openai/human-eval", "6d43fb980f9fee3c892a914eda09951f772ad10d"


class Source(NamedTuple):
    """A file on the network. `sha256` None: the revision in its address is what pins it."""

    name: str  # in the folder of evaluation data
    url: str
    sha256: str | None


SOURCES = (
    Source(
        "arc_easy_test.parquet",
        HUB.format(*AI2_ARC, "ARC-Easy/test-00000-of-00001.parquet"),
        "4160597d618ae851c7eb04e281574f3f654776216ac6b6641588d64527b47177",
    ),
    Source(
        "arc_challenge_test.parquet",
        HUB.format(*AI2_ARC, "ARC-Challenge/test-00000-of-00001.parquet"),
        "62f03257e737aed263f55c6abf87c7bb0028a44a6bdd2a26eb1279eb42c1d1e9",
    ),
    Source(
        "mmlu_test.parquet",
        HUB.format(*MMLU, "all/test-00000-of-00001.parquet"),
        "74a41822ce7d3def56e1682f958469c04642a5336a5ce912fa375fdb90fb25d7",
    ),
    Source("mmlu_dev.parquet", HUB.format(*MMLU, "all/dev-00000-of-00001.parquet"), None),
    Source(
        "gsm8k_test.jsonl",
        GITHUB.format(*GSM8K, "grade_school_math/data/test.jsonl"),
        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
    ),
    Source(
        "gsm8k_train.jsonl",
        GITHUB.format(*GSM8K, "grade_school_math/data/train.jsonl"),
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
    ),
    Source(
        "humaneval.jsonl.gz",
        GITHUB.format(*HUMANEVAL, "data/HumanEval.jsonl.gz"),
        "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
    ),
)
# The 22 tasks of CORE in one archive, as nanochat publishes it.
BUNDLE = Source(
    "core",
    "https://karpathy-public.s3.us-west-2.amazonaws.com/eval_bundle.zip",
    "90a7c19e28ee7a52b4f6e1f87658deb9fde7f63deba2379045bdb1fe9ea5d200",
)


def fetch(folder: Path) -> int:
    """Fetch what is not in `folder` yet; return how many files that were. Raises UserError if a
    file cannot be had or is not what it should be; what was fetched before stays."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [source for source in (*SOURCES, BUNDLE) if not (folder / source.name).exists()]
    for source in missing:
        with console.progress(f"fetching {source.name}", 0, "bytes") as meter:
            path = _download(source, folder, meter.advance)
        if source is BUNDLE:
            _unpack(path, folder / source.name)
            path.unlink()
        else:
            path.replace(folder / source.name)
    return len(missing)


def _download(source: Source, folder: Path, advance: Callable[[float], None]) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    known = f"sha256:{source.sha256}" if source.sha256 else None
    try:
        path = pooch.retrieve(
            source.url,
            known,
            fname=f".{source.name}.download",
            path=folder,
            downloader=pooch.HTTPDownloader(progressbar=_Bytes(advance), timeout=60),
        )
    except ValueError as error:  # pooch's word for a wrong checksum
        raise UserError(
            f"{source.url} is not the file that was pinned ({_line(error)})",
            "try again later; if it stays so, please report it",
        ) from None
    except OSError as error:  # all of requests' errors are OSErrors
        raise UserError(
            f"cannot fetch {source.url} ({_line(error)})",
            "check the connection; on a machine without one, copy the folder "
            f"{folder} from a machine that has fetched it",
        ) from None
    return Path(path)


class _Bytes:
    """What pooch tells its progress bar."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self.total, self.update = 0, advance

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def _unpack(archive: Path, folder: Path) -> None:
    """The bundle's files, whatever the archive's own folder is called."""
    aside = folder.with_name(f".{folder.name}.unpacked")
    shutil.rmtree(aside, ignore_errors=True)
    with zipfile.ZipFile(archive) as opened:  # never writes outside of the folder it is given
        opened.extractall(aside)
    (found,) = aside.rglob("core.yaml")
    found.parent.replace(folder)
    shutil.rmtree(aside, ignore_errors=True)


def _line(error: Any) -> str:
    return " ".join(str(error).split())[:200]
