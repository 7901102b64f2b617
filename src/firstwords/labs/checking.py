"""A check, item by item: the prediction, then what the learner wrote, then the experiment."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from firstwords.labs.folder import PREDICTION, Folder
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
        yield Part("prediction", self._judged(self._prediction))
        yield Part("exercise", self._judged(lambda: self._checker.exercise(self._folder)))
        if self.passed:
            yield Part("experiment", self._judged(self._experiment))

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

    def _experiment(self) -> Iterator[Finding | Compared]:
        said, predict = self._folder.predictions(), self._folder.lab.predict
        for item in self._checker.experiment(self._folder, self._setting):
            if isinstance(item, Outcome):
                yield Compared(predict[item.name], said[item.name], item.was)
            else:
                yield item

    def _judged(
        self, find: Callable[[], Iterator[Finding | Compared] | Iterator[Finding]]
    ) -> Iterator[Finding | Compared]:
        """What `find` yields; an error in the learner's code is a finding too."""
        try:
            for item in find():
                if isinstance(item, Finding) and item.right is False:
                    self.passed = False
                yield item
        except NotImplementedError as error:
            self.passed = False
            yield self._unwritten(error)
        except (Exception, SystemExit) as error:
            line = self._folder.line_of(error)
            if not line:
                raise
            self.passed = False
            yield wrong(f"{type(error).__name__}: {error}", f"it came from {line}")

    def _unwritten(self, error: NotImplementedError) -> Finding:
        line = self._folder.line_of(error)
        if not line:
            raise error
        lab = self._folder.lab
        return wrong(
            f"still to be written: {line}",
            str(error).removeprefix("TODO: ") + f" (the page: {lab.page})",
        )
