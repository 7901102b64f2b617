"""What a lab is, and the results of checking one."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

TEMPLATES = Path(__file__).parent / "templates"


class Lab(NamedTuple):
    """One exercise.

    `minutes` is the computing time on two slow cores. `predict` maps the names of predictions to
    the questions that the learner answers before the experiment.
    """

    number: int
    name: str
    title: str
    minutes: int
    task: str
    predict: Mapping[str, str]
    hints: tuple[str, ...]
    uses_run: bool = False  # the experiment finetunes a trained model; --run chooses it
    has_random_model: bool = False  # the folder gets a random model configuration

    @property
    def page(self) -> str:
        """The page of the documentation."""
        return f"docs/labs/{self.number:02d}-{self.name.replace('_', '-')}.md"

    @property
    def templates(self) -> list[Path]:
        """The files that the learner edits, without the prediction."""
        paths = (TEMPLATES / self.name).iterdir()
        return sorted(path for path in paths if path.suffix in (".py", ".json", ".jsonl", ".toml"))


class LabFinding(NamedTuple):
    """One result of a check. `passed` is None for information; `hint` says how to fix a failure."""

    passed: bool | None
    text: str
    hint: str = ""


class ExperimentResult(NamedTuple):
    """The actual value of something that the learner predicted, by the prediction's name."""

    name: str
    actual: str


class LabSettings(NamedTuple):
    """How to run an experiment.

    `run_name` chooses the run whose model is finetuned, instead of the labs' own small model.
    `effort` scales the work, from 0 to 1; tests use little.
    """

    run_name: str | None = None
    effort: float = 1.0

    def scaled(self, count: int) -> int:
        """Scale a number of steps, tokens or documents."""
        return max(2, round(count * self.effort))


def passed(text: str) -> LabFinding:
    return LabFinding(True, text)


def failed(text: str, hint: str) -> LabFinding:
    return LabFinding(False, text, hint)


def info(text: str) -> LabFinding:
    return LabFinding(None, text)
