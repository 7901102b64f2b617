"""What an answer is worth: graded by the exam's rules, or by a function of the user's own."""

import contextlib
import multiprocessing.connection
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from firstwords.common.errors import UserError
from firstwords.rl import reward_process
from firstwords.rl.questions import Question, grade

REWARD_SECONDS = 10.0  # that one call of the user's function may take
START_SECONDS = 60.0  # that importing the user's file may take
STDERR = 2
SHOWN_CHARACTERS = 60  # of an answer in an error


class Reward(Protocol):
    """Gives every answer a number; more is better."""

    def score(self, question: Question, answer: str) -> float: ...


class GradedReward:
    """1 for an answer that the exam would count as right, else 0."""

    def score(self, question: Question, answer: str) -> float:
        return grade(question, answer)


class OwnReward:
    """The function `reward(conversation, answer)` of a Python file, in a process of its own.

    `prompts` is the file's list QUESTIONS, or None. Every method raises UserError that names the
    file, the line and the answer.
    """

    def __init__(self, path: Path, seconds: float = REWARD_SECONDS) -> None:
        self._path, self._seconds = path, seconds
        if not path.is_file():
            raise UserError(f"--reward {path} does not exist", "name a Python file")
        self._connection, other = multiprocessing.connection.Pipe()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, reward_process.__file__, str(path), str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=STDERR,  # stdout is for answers and documents
                start_new_session=True,  # Ctrl-C in the terminal is for the parent
            )
        self.prompts: list[str] | None = self._receive(START_SECONDS, "importing it")

    def score(self, question: Question, answer: str) -> float:
        shown = answer if len(answer) <= SHOWN_CHARACTERS else f"{answer[:SHOWN_CHARACTERS]}..."
        with contextlib.suppress(OSError):  # the process is gone, which receiving reports
            self._connection.send((question.messages, answer))
        return float(self._receive(self._seconds, f"on the answer {shown!r}"))

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> "OwnReward":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self, seconds: float, when: str) -> Any:
        """Return the process's reply. Raises UserError, after which the process has ended."""
        hint = "fix the file and run the same command again to resume"
        try:
            if not self._connection.poll(seconds):
                problem = f"{self._path}: reward did not return within {seconds:g} seconds"
            else:
                kind, value = self._connection.recv()
                if kind == "ok":
                    return value
                problem = str(value)
        except (EOFError, OSError):
            problem = f"{self._path}: the process of the reward ended"
        self.close()
        raise UserError(f"--reward {problem}, {when}", hint)
