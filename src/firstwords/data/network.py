"""What may go wrong with a network: what passes, how long to wait for it, what to tell."""

from collections.abc import Mapping

from firstwords.errors import UserError

TIMEOUT = 30.0  # seconds without a byte
TRIES = 6  # without a new byte in any of them
TRIES_OFFLINE = 3  # where there has been none at all: a machine without internet should hear soon
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds between tries, doubled from one to the next
PATIENCE = 900.0  # the longest wait that a server may ask for
PASSING = (408, 425, 429, 500, 502, 503, 504)


class Again(Exception):
    """Worth another try, after so many seconds if the server said so."""

    def __init__(self, why: str, after: float | None = None, tries: int = TRIES) -> None:
        super().__init__(why)
        self.after, self.tries = after, tries


class Wrong(Again):
    """All bytes came, and they are others than those that were pinned."""


def wait_of(again: Again, failures: int, url: str) -> float:
    """Seconds until the next try. Raises UserError if the server asks for too many."""
    if again.after is None:
        return min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1))
    if again.after > PATIENCE:
        raise UserError(
            f"cannot fetch {url}",
            f"the server asks to come back in {again.after / 60:.0f} minutes; the same command "
            "then goes on",
        )
    return again.after


def unreachable(url: str, why: BaseException) -> UserError:
    reason = " ".join(str(why).split())[:200]
    return UserError(
        f"cannot reach {url} ({reason})",
        "check the connection and give the same command again; for a machine without internet, "
        "fetch on another one, pack with firstwords data bundle and unpack with data unbundle",
    )


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a busy server asks for, in either of two headers."""
    from huggingface_hub.utils import parse_ratelimit_headers

    asked = headers.get("retry-after", "").strip()
    if asked.isdigit():
        return float(asked)
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit and limit.remaining == 0 else None


def refusal(status: int) -> str:
    if status in (401, 403):
        return (
            f"the server says {status}: it is not for everybody; accept its terms on its page, "
            "then put a token of yours into HF_TOKEN"
        )
    if status in (404, 410):
        return f"the server says {status}: the file is not there any more; please report it"
    return f"the server says {status}; try again later"
