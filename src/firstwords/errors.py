"""The errors that a user is meant to read.

Exit codes are a contract: 2 for wrong input, 130 for an interruption with the work saved,
1 for anything else.
"""


class UserError(Exception):
    """Something the user gave is wrong. One line: what it is, then how to mend it.

    `problem` names the option, file or line; `mend` says what to do.
    """

    exit_code = 2

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem}: {mend}")
        self.problem = problem
        self.mend = mend


class DamagedFile(Exception):
    """A file of a run does not match its checksum or is incomplete."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM arrived; everything made so far is on disk.

    Like KeyboardInterrupt it is no Exception: code that handles errors lets it pass.
    """

    exit_code = 130


class Diverged(Exception):
    """The loss of a training run is no longer a number."""

    exit_code = 1
