"""Waiting for events. The limit is for programs that hang: no test may fail because the machine is
busy."""

import time
from collections.abc import Callable
from typing import Any

LIMIT_SECONDS = 900.0


def wait_until(
    condition: Callable[[], object],
    meanwhile: Callable[[], object] = lambda: None,
    interval_seconds: float = 0.02,
    limit_seconds: float = LIMIT_SECONDS,
) -> None:
    """Return when `condition` holds. `meanwhile` is called before each pause, to raise an error if
    the condition can no longer come true."""
    deadline = time.monotonic() + limit_seconds
    while not condition():
        meanwhile()
        assert time.monotonic() < deadline, f"still waiting after {limit_seconds:g} s"
        time.sleep(interval_seconds)


def wait_for_script(page: Any, expression: str) -> None:
    """Return when `expression` is true in the page. Playwright's `wait_for_function` evaluates its
    text again inside the page from the second time on, which the pages' Content Security Policy
    forbids; `evaluate` comes from the browser's debugger."""
    wait_until(lambda: page.evaluate(expression))
