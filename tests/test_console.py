"""What is said while it runs: times, sizes, progress."""

import io

import pytest
from rich.console import Console

from firstwords import console


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A console that is no terminal."""
    file = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=file, soft_wrap=True))
    return file


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0:00"),
        (7.4, "0:07"),
        (59.6, "1:00"),
        (754, "12:34"),
        (3723, "1:02:03"),
        (3599.7, "1:00:00"),
    ],
)
def test_durations_read_like_a_clock(seconds: float, written: str) -> None:
    assert console.duration(seconds) == written


@pytest.mark.parametrize(
    ("n_bytes", "written"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (2_500_000, "2.5 MB"),
        (3e12, "3000.0 GB"),
    ],
)
def test_sizes_have_a_unit(n_bytes: float, written: str) -> None:
    assert console.size(n_bytes) == written


def test_brackets_in_what_is_said_are_no_markup(log: io.StringIO) -> None:
    console.say("a [bold]file[/bold] [/x]")
    console.warn("[red]")
    assert log.getvalue() == "a [bold]file[/bold] [/x]\nnote: [red]\n"


def test_a_meter_knows_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    meter = console.Meter(1000, "tokens", 0, lambda meter: None)
    for _ in range(3):
        now[0] += 2
        meter.advance(100, "loss 2.000")
    assert meter.line() == " 30%  50 tokens/s  0:14 left  loss 2.000"


def test_progress_in_a_log_is_a_line_now_and_then(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress("base", 100, "tokens") as meter:
        for _ in range(50):
            now[0] += 1
            meter.advance(2)
    lines = log.getvalue().splitlines()
    assert len(lines) == 5
    assert all(line.startswith("base: ") for line in lines)


@pytest.mark.parametrize("total", [0, 10])
def test_progress_on_a_terminal_ends_without_a_trace_of_an_error(
    total: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=file, force_terminal=True, width=100))
    with console.progress("encoding [x]", total, "tokens") as meter:
        meter.advance(20, "note")
    assert "encoding [x]" in file.getvalue()
