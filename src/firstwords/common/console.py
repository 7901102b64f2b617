"""Console output while a command runs: headers, messages, and progress with rate and time left.

On a terminal, progress is a live line. Otherwise (a log, a batch job) it is a plain line every ten
seconds. Everything goes to stderr: stdout is for answers and documents.
"""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.segment import Segment
from rich.text import Text

from firstwords.common.terminal import printable
from firstwords.common.units import format_duration

LOG_INTERVAL_SECONDS = 10.0  # between lines of progress that is not on a terminal


class PlainConsole(Console):
    """A console whose text cannot act on the terminal: only its styles and progress can."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


console = PlainConsole(stderr=True, highlight=False, soft_wrap=True)


def header(title: str) -> None:
    """Print a title with a line across the terminal."""
    console.print()
    console.rule(f"[bold]{escape(title)}", align="left")


def say(text: str) -> None:
    """Print text as it is: markup in it is not interpreted."""
    console.print(escape(text))


def warn(text: str) -> None:
    """Print text after a yellow `note:`."""
    console.print(f"[yellow]note:[/] {escape(text)}")


@functools.cache
def warn_once(text: str) -> None:
    """Print a warning unless this process has printed the same one before."""
    warn(text)


class Meter:
    """Progress towards `total` units, with a note after the rate and the time left.

    The rate is a moving average over the last seconds, so that the time left follows a machine that
    slows down.
    """

    def __init__(
        self, total: float, unit: str, done: float, show: Callable[["Meter"], None]
    ) -> None:
        self.total, self.unit, self.done, self.note, self.rate = total, unit, done, "", 0.0
        self._show = show
        self._measured_at, self._measured_done = time.monotonic(), done

    def advance(self, amount: float, note: str = "") -> None:
        """Add `amount` units, and replace the note unless it is empty."""
        self.done += amount
        self.note = note or self.note
        now = time.monotonic()
        if now - self._measured_at >= 1.0:
            rate = (self.done - self._measured_done) / (now - self._measured_at)
            self.rate = rate if self.rate == 0 else 0.7 * self.rate + 0.3 * rate
            self._measured_at, self._measured_done = now, self.done
        self._show(self)

    def line(self) -> str:
        """Format share, rate, time left and note."""
        parts = [f"{min(1.0, self.done / self.total):4.0%}"] if self.total else []
        if self.rate > 0:
            parts.append(f"{self.rate:,.{0 if self.rate >= 10 else 1}f} {self.unit}/s")
            if self.total:
                parts.append(
                    f"{format_duration(max(0.0, (self.total - self.done) / self.rate))} left"
                )
        return "  ".join([*parts, self.note])


class _Line(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["line"])


@contextmanager
def progress(label: str, total: float, unit: str, done: float = 0.0) -> Iterator[Meter]:
    """Yield a Meter and show it while the block runs: as a live line, or as lines in a log."""
    if not console.is_terminal:
        yield Meter(total, unit, done, _log_lines(label))
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), _Line())
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as bars:
        task = bars.add_task(escape(label), total=total, completed=int(done), line="")

        def show(meter: Meter) -> None:
            bars.update(task, completed=min(meter.done, total), line=meter.line())

        yield Meter(total, unit, done, show)


def _log_lines(label: str) -> Callable[[Meter], None]:
    last = time.monotonic()

    def show(meter: Meter) -> None:
        nonlocal last
        if time.monotonic() - last >= LOG_INTERVAL_SECONDS:
            last = time.monotonic()
            say(f"{label}: {meter.line()}")

    return show
