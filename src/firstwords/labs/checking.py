"""A check, item by item: the prediction, then what the learner wrote, then the experiment."""

from collections.abc import Iterator
from typing import NamedTuple

from firstwords.errors import UserError
from firstwords.labs.folder import PREDICTION, Folder, line_of
from firstwords.labs.lab import Finding, Outcome, Setting, right, wrong


class Compared(NamedTuple):
    """A prediction beside what came of it."""

    question: str
    said: str
    was: str


class Part(NamedTuple):
    title: str
    items: Iterator[Finding | Compared]


class Check:
    """`parts` yields what is found, as it is found; afterwards `passed` says whether all was right.

    The experiment is left out until prediction and exercise are right: it takes minutes, and
    without a prediction there is nothing to learn from it.
    """

    def __init__(self, folder: Folder, setting: Setting) -> None:
        self._folder, self._setting = folder, setting
        self._checker = folder.lab.checker()
        self.passed = True

    def parts(self) -> Iterator[Part]:
        yield Part("prediction", self._judged(self._prediction()))
        yield Part("exercise", self._judged(self._exercise()))
        if self.passed:
            yield Part("experiment", self._judged(self._experiment()))

    def _prediction(self) -> Iterator[Finding]:
        said = self._folder.predictions()
        missing = [name for name, text in said.items() if not text]
        if missing:
            yield wrong(
                f"nothing is written for {', '.join(missing)} in {PREDICTION}",
                "write what you expect, right or wrong: what surprises is what you learn from",
            )
        else:
            yield right(f"{len(said)} predictions are written")

    def _exercise(self) -> Iterator[Finding]:
        """An error on the way is one of the learner's, even where it comes up later: in the model,
        for instance, which got the wrong thing from the learner's code."""
        try:
            yield from self._checker.exercise(self._folder)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            yield self._stumbled(error)

    def _experiment(self) -> Iterator[Finding | Compared]:
        said, predict = self._folder.predictions(), self._folder.lab.predict
        try:
            for item in self._checker.experiment(self._folder, self._setting):
                if isinstance(item, Outcome):
                    yield Compared(predict[item.name], said[item.name], item.was)
                else:
                    yield item
        except Exception as error:
            if not self._folder.own_line(error):
                raise
            yield self._stumbled(error)

    def _stumbled(self, error: BaseException) -> Finding:
        place = self._folder.own_line(error) or line_of(error)
        if isinstance(error, NotImplementedError):
            return wrong(f"still to be written: {place}", str(error).removeprefix("TODO: "))
        return wrong(f"{type(error).__name__}: {error}", f"it came up in {place}")

    def _judged(self, items: Iterator[Finding | Compared]) -> Iterator[Finding | Compared]:
        for item in items:
            if isinstance(item, Finding) and item.right is False:
                self.passed = False
            yield item
