"""What a lab is, and what its check finds."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from firstwords.labs.folder import Folder

TEMPLATES = Path(__file__).parent / "templates"


class Lab(NamedTuple):
    """`minutes` are those of computing, on two slow cores. `predict` are the questions that the
    learner answers before the check runs, by name."""

    number: int
    name: str
    title: str
    minutes: int
    task: str
    predict: Mapping[str, str]
    hints: tuple[str, ...]
    takes_run: bool = False  # whether it asks a trained model, which may be the learner's own
    draws_model: bool = False  # whether its folder gets a model's shape, drawn at random

    @property
    def page(self) -> str:
        return f"docs/labs/{self.number:02d}-{self.name.replace('_', '-')}.md"

    @property
    def templates(self) -> list[Path]:
        """The files that the learner edits, but for the prediction."""
        found = (TEMPLATES / self.name).iterdir()
        return sorted(path for path in found if path.suffix in (".py", ".json", ".jsonl", ".toml"))

    def checker(self) -> "Checker":
        return cast("Checker", importlib.import_module(f"firstwords.labs.{self.name}"))


class Finding(NamedTuple):
    """`right` is None for what is only told. A hint says how to go on where it is wrong."""

    right: bool | None
    text: str
    hint: str = ""


class Outcome(NamedTuple):
    """What came of something that was predicted."""

    name: str
    was: str


class Setting(NamedTuple):
    """How to run an experiment: the run whose model it asks, instead of the labs' own, and how much
    of it, from 0 to 1 (tests have less time)."""

    run: str | None = None
    effort: float = 1.0

    def scaled(self, count: int) -> int:
        """Of steps, tokens or documents."""
        return max(2, round(count * self.effort))


class Checker(Protocol):
    """The module of a lab."""

    def exercise(self, folder: "Folder") -> Iterator[Finding]:
        """Look at what the learner wrote; takes seconds."""

    def experiment(self, folder: "Folder", setting: Setting) -> Iterator[Finding | Outcome]:
        """Run it; takes minutes. Comes only after a right exercise."""


def right(text: str) -> Finding:
    return Finding(True, text)


def wrong(text: str, hint: str) -> Finding:
    return Finding(False, text, hint)


def told(text: str) -> Finding:
    return Finding(None, text)
