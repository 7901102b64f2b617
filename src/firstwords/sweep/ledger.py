"""The ledger: one line for each finished run of any sweep, in experiments.jsonl.

It is only added to, so that what was measured stays when runs are removed. Lines are added whole;
one that a kill cut short is ignored with a warning, and its run recorded again.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import firstwords
from firstwords.common import files, paths
from firstwords.runs.documents import Document, read_valid_lines
from firstwords.runs.manifest import now
from firstwords.runs.run import Run
from firstwords.runs.summary import newest_scores

SOURCES = ("*.py", "*.h", "*.cpp", "*.txt", "*.json")


class Experiment(Document):
    """A line of the ledger."""

    class Score(Document):
        """A score of the finished model with its 95 % interval."""

        score: float
        ci95: tuple[float, float]

    sweep: str
    variant: str
    label: str
    seed: int
    run: str
    seconds: float
    exam: Score | None
    bits_per_byte: Score | None


def ledger_path() -> Path:
    """Return the file of the ledger."""
    return paths.home() / "experiments.jsonl"


def read_experiments(sweep: str, variants: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the finished experiments of a sweep, by variant in the given order, and then the
    oldest first."""
    lines = read_valid_lines(Experiment, ledger_path(), is_complete=True)
    return order_by_variant([line for line in lines if line["sweep"] == sweep], variants)


def order_by_variant(
    experiments: list[dict[str, Any]], variants: Iterable[str]
) -> list[dict[str, Any]]:
    """Return experiments by variant in the given order; those of one variant keep their order."""
    place = {variant: number for number, variant in enumerate(variants)}
    return sorted(experiments, key=lambda line: place.get(line["variant"], len(place)))


def record(
    sweep: str, variant: str, label: str, run: Run, settings: dict[str, Any]
) -> dict[str, Any]:
    """Add a finished run to the ledger, and return its line."""
    entry = {
        "sweep": sweep,
        "variant": variant,
        "label": label,
        "seed": run.recipe.seed,
        "run": run.name,
        "settings": settings,
        "recorded": now(),
        "code": code_digest(),
        "tokens": sum(run.recipe.stage(stage).tokens for stage in run.recipe.stages),
        "seconds": run.total_seconds(),
        **newest_scores(run),
    }
    files.append_line(ledger_path(), json.dumps(entry))
    return entry


@cache
def code_digest() -> str:
    """Return a digest of the package's sources, which tells one state of the code from another."""
    package = Path(firstwords.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES for path in package.rglob(pattern)):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
