"""Console output: durations, sizes, progress."""

import io

import pytest
from rich.console import Console

from firstwords.common import console
from firstwords.common.units import format_duration, format_size


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The output of a console that is not a terminal."""
    file = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=file, soft_wrap=True))
    return file


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0:00"),
        (7.4, "0:07"),
        (59.6, "1:00"),
        (754, "12:34"),
        (3723, "1:02:03"),
        (3599.7, "1:00:00"),
    ],
)
def test_format_duration(seconds: float, expected: str) -> None:
    assert format_duration(seconds) == expected


@pytest.mark.parametrize(
    ("n_bytes", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.5 kB"),
        (2_500_000, "2.5 MB"),
        (3e12, "3000.0 GB"),
    ],
)
def test_format_size(n_bytes: float, expected: str) -> None:
    assert format_size(n_bytes) == expected


def test_brackets_are_not_markup(log: io.StringIO) -> None:
    console.say("a [bold]file[/bold] [/x]")
    console.warn("[red]")
    assert log.getvalue() == "a [bold]file[/bold] [/x]\nnote: [red]\n"


def test_meter_shows_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    meter = console.Meter(1000, "tokens", 0, lambda meter: None)
    for _ in range(3):
        now[0] += 2
        meter.advance(100, "loss 2.000")
    assert meter.line() == " 30%  50 tokens/s  0:14 left  loss 2.000"


def test_progress_in_a_log_is_a_line_every_ten_seconds(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress("pretrain", 100, "tokens") as meter:
        for _ in range(50):
            now[0] += 1
            meter.advance(2)
    lines = log.getvalue().splitlines()
    assert len(lines) == 5
    assert all(line.startswith("pretrain: ") for line in lines)


@pytest.mark.parametrize("total", [0, 10])
def test_progress_on_a_terminal_ends_without_an_error(
    total: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=file, force_terminal=True, width=100))
    with console.progress("encoding [x]", total, "tokens") as meter:
        meter.advance(20, "note")
    assert "encoding [x]" in file.getvalue()
