"""Check a lab: first the prediction, then the learner's code, then the experiment."""

import importlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol, cast

from firstwords.common.errors import UserError
from firstwords.labs.folder import PREDICTION, LabFolder, error_location
from firstwords.labs.lab import ExperimentResult, Lab, LabFinding, LabSettings, failed, passed


class LabModule(Protocol):
    """The module of a lab."""

    def exercise(self, folder: LabFolder) -> Iterator[LabFinding]:
        """Check what the learner wrote. Takes seconds."""

    def experiment(
        self, folder: LabFolder, settings: LabSettings
    ) -> Iterator[LabFinding | ExperimentResult]:
        """Run the experiment, after the exercise passed. Takes minutes."""


def load_lab_module(lab: Lab) -> LabModule:
    return cast(LabModule, importlib.import_module(f"firstwords.labs.{lab.name}"))


class Comparison(NamedTuple):
    """A prediction next to the actual result."""

    question: str
    predicted: str
    actual: str


class CheckSection(NamedTuple):
    """One part of a check; its items are computed while they are iterated over."""

    title: str
    items: Iterator[LabFinding | Comparison]


class LabCheck:
    """The check of a lab. Iterate over `sections`; afterwards `passed` says whether all passed.

    The experiment runs only if prediction and exercise passed: it takes minutes, and teaches less
    without a prediction.
    """

    def __init__(self, folder: LabFolder, settings: LabSettings) -> None:
        self._folder, self._settings = folder, settings
        self._module = load_lab_module(folder.lab)
        self.passed = True

    def sections(self) -> Iterator[CheckSection]:
        yield CheckSection("prediction", self._watch(self._check_prediction()))
        yield CheckSection("exercise", self._watch(self._run_exercise()))
        if self.passed:
            yield CheckSection("experiment", self._watch(self._run_experiment()))

    def _watch(self, items: Iterator[LabFinding | Comparison]) -> Iterator[LabFinding | Comparison]:
        """Yield the items, and note whether one failed."""
        for item in items:
            if isinstance(item, LabFinding) and item.passed is False:
                self.passed = False
            yield item

    def _check_prediction(self) -> Iterator[LabFinding]:
        predictions = self._folder.predictions()
        missing = [name for name, text in predictions.items() if not text]
        if missing:
            yield failed(
                f"no prediction for {', '.join(missing)} in {PREDICTION}",
                "write what you expect, right or wrong; you learn most from what surprises you",
            )
        else:
            yield passed(f"{len(predictions)} predictions written")

    def _run_exercise(self) -> Iterator[LabFinding]:
        """Any error here comes from the learner's code, even if it is raised later: in the model,
        for instance, to which that code passed a wrong value."""
        try:
            yield from self._module.exercise(self._folder)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            yield self._error_finding(error)

    def _run_experiment(self) -> Iterator[LabFinding | Comparison]:
        predictions, questions = self._folder.predictions(), self._folder.lab.predict
        try:
            for item in self._module.experiment(self._folder, self._settings):
                if isinstance(item, ExperimentResult):
                    yield Comparison(questions[item.name], predictions[item.name], item.actual)
                else:
                    yield item
        except Exception as error:
            if not self._folder.learner_line(error):
                raise
            yield self._error_finding(error)

    def _error_finding(self, error: BaseException) -> LabFinding:
        location = self._folder.learner_line(error) or error_location(error)
        if isinstance(error, NotImplementedError):
            return failed(f"not written yet: {location}", str(error).removeprefix("TODO: "))
        return failed(f"{type(error).__name__}: {error}", f"raised in {location}")
