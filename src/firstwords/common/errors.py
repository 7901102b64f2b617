"""The errors that a user is meant to read.

Exit codes are a contract: 2 for wrong input, 130 for an interruption with the work saved, 1 for
anything else.
"""


class UserError(Exception):
    """Something the user gave is wrong, told in one line: `<problem>; <hint>`.

    `problem` says what is wrong, the option or file first; `hint` says what to do. Both are lower
    case, without a full stop.
    """

    exit_code = 2

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem}; {hint}")
        self.problem = problem
        self.hint = hint


class ReportedError(UserError):
    """A UserError that another process of the run prints, which has the same."""


def telling_line(error: Exception) -> str:
    """Return the line of a library's or a compiler's long message that says what is wrong: the
    first with `error:`, else the first; at most 160 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = (line for line in lines if "error: " in line)
    return next(telling, lines[0] if lines else type(error).__name__)[:160]


class DamagedFile(Exception):
    """A file of a run does not match its checksum or is incomplete."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived; everything made so far is on disk.

    Like KeyboardInterrupt it is not an Exception, so code that handles errors lets it pass.
    """

    exit_code = 130


class Diverged(Exception):
    """The loss of a training run is not finite."""

    exit_code = 1
