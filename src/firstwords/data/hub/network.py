"""Network failures: which ones to retry, how long to wait, and the errors for the others."""

from collections.abc import Mapping

from firstwords.common.errors import UserError

TIMEOUT_SECONDS = 30.0  # without a byte
MAX_ATTEMPTS = 6  # in a row without a new byte
MAX_ATTEMPTS_OFFLINE = 3  # before the first byte, so that a machine without internet fails soon
FIRST_DELAY, MAX_DELAY = 1.0, 30.0  # seconds between tries, doubled after each
MAX_REQUESTED_DELAY = 900.0  # seconds that a server may ask for
TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)


class RetryableError(Exception):
    """A failure that may pass. `delay` is what the server asked for, in seconds."""

    def __init__(
        self, reason: str, delay: float | None = None, max_attempts: int = MAX_ATTEMPTS
    ) -> None:
        super().__init__(reason)
        self.delay, self.max_attempts = delay, max_attempts


class ChecksumError(RetryableError):
    """The file was received completely, but its SHA-256 is not the pinned one."""


def retry_delay(error: RetryableError, failures: int, url: str) -> float:
    """Return the seconds until the next try. Raises UserError if the server asks for too many."""
    if error.delay is None:
        return min(MAX_DELAY, FIRST_DELAY * 2 ** (failures - 1))
    if error.delay > MAX_REQUESTED_DELAY:
        minutes = error.delay / 60
        raise UserError(
            f"cannot fetch {url}: the server is busy for {minutes:.0f} minutes",
            "run the same command again then to resume",
        )
    return error.delay


def requested_delay(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a busy server asks for, in either of two headers."""
    from huggingface_hub.utils import parse_ratelimit_headers

    seconds = headers.get("retry-after", "").strip()
    if seconds.isdigit():
        return float(seconds)
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit and limit.remaining == 0 else None


def unreachable(url: str, reason: BaseException) -> UserError:
    """Return the error for a server that cannot be reached, or not any more."""
    text = " ".join(str(reason).split())[:200]
    return UserError(
        f"cannot reach {url} ({text})",
        "check the connection and run the same command again; for a machine without internet, "
        "fetch on another one, pack with firstwords data bundle and unpack with firstwords data "
        "unbundle",
    )


def refused(url: str, status: int) -> UserError:
    """Return the error for a status that no retry can change."""
    if status in (401, 403):
        hint = "accept the terms on its page, then set HF_TOKEN to your token"
        return UserError(f"cannot fetch {url}: access is restricted (status {status})", hint)
    if status in (404, 410):
        return UserError(f"cannot fetch {url}: it was removed (status {status})", "report it")
    return UserError(f"cannot fetch {url}: the server returned {status}", "try again later")
