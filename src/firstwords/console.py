"""What a person sees while it runs: headers, facts, and progress with rate and time left.

On a terminal progress is a live line. Elsewhere (a log, a batch job) it is a plain line every
ten seconds. Everything goes to stderr: stdout is for answers and documents.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

LOG_EVERY = 10.0  # seconds between the lines of a progress that is not on a terminal

console = Console(stderr=True, highlight=False, soft_wrap=True)


def header(title: str) -> None:
    console.print()
    console.rule(f"[bold]{escape(title)}", align="left")


def say(text: str) -> None:
    console.print(escape(text))


def warn(text: str) -> None:
    console.print(f"[yellow]note:[/] {escape(text)}")


def duration(seconds: float) -> str:
    """`0:07`, `12:34` or `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


def size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"


class Meter:
    """Progress towards `total` of something; `note` stands behind the rate and the time left.

    The time left follows the rate of the last seconds, so it stays honest on a machine that
    slows down.
    """

    def __init__(
        self, total: float, unit: str, done: float, show: Callable[["Meter"], None]
    ) -> None:
        self.total, self.unit, self.done, self.note, self.rate = total, unit, done, "", 0.0
        self._show = show
        self._seen, self._seen_done = time.monotonic(), done

    def advance(self, amount: float, note: str = "") -> None:
        self.done += amount
        self.note = note or self.note
        now = time.monotonic()
        if now - self._seen >= 1.0:
            rate = (self.done - self._seen_done) / (now - self._seen)
            self.rate = rate if self.rate == 0 else 0.7 * self.rate + 0.3 * rate
            self._seen, self._seen_done = now, self.done
        self._show(self)

    def line(self) -> str:
        parts = [f"{min(1.0, self.done / self.total):4.0%}"] if self.total else []
        if self.rate > 0:
            parts.append(f"{self.rate:,.{0 if self.rate >= 10 else 1}f} {self.unit}/s")
            if self.total:
                parts.append(f"{duration(max(0.0, (self.total - self.done) / self.rate))} left")
        return "  ".join([*parts, self.note])


class _Line(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["line"])


@contextmanager
def progress(label: str, total: float, unit: str, done: float = 0.0) -> Iterator[Meter]:
    """A Meter that is shown while the block runs: a live line, or lines in a log."""
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
        if time.monotonic() - last >= LOG_EVERY:
            last = time.monotonic()
            say(f"{label}: {meter.line()}")

    return show
