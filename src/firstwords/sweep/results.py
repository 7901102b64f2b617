"""The results of a sweep: means over seeds, and paired differences to the first variant.

Seeds vary more than questions of the exam do, so intervals are over seeds: Student's t of the
scores, or of the differences of two variants with the same seed.
"""

import statistics
from typing import Any, NamedTuple

from firstwords.common.units import format_duration

# The 97.5 % points of Student's t distribution for 1, 2, … degrees of freedom, rounded up.
T_POINTS = (12.71, 4.31, 3.19, 2.78, 2.58, 2.45, 2.37, 2.31, 2.27, 2.23, 2.21, 2.18, 2.17, 2.15)
T_POINT_OF_MORE = 2.14
HEADER = ["variant", "seeds", "exam", "vs. first", "bits per byte", "vs. first", "tokens", "time"]


class Mean(NamedTuple):
    """A mean over seeds; half of its 95 % interval, None with one seed."""

    mean: float
    half_width: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.half_width is not None and abs(self.mean) > self.half_width


def mean_of(values: list[float]) -> Mean:
    """Return the mean of some values, at least one, with its interval."""
    degrees = len(values) - 1
    if not degrees:
        return Mean(values[0], None)
    t = T_POINTS[degrees - 1] if degrees <= len(T_POINTS) else T_POINT_OF_MORE
    return Mean(statistics.mean(values), t * statistics.stdev(values) / len(values) ** 0.5)


def paired_difference(
    lines: list[dict[str, Any]], first: list[dict[str, Any]], score: str
) -> Mean | None:
    """Return the mean difference of a score to the first variant over the seeds that both have."""
    of_first = {line["seed"]: line[score]["score"] for line in first if line[score]}
    differences = [
        line[score]["score"] - of_first[line["seed"]]
        for line in lines
        if line[score] and line["seed"] in of_first
    ]
    return mean_of(differences) if differences else None


def group_by_variant(experiments: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the experiments of each variant with each label, in the order of their first ones."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in experiments:
        name = f"{line['variant']} ({line['label']})" if line["label"] else line["variant"]
        groups.setdefault(name, []).append(line)
    return groups


def results_table(experiments: list[dict[str, Any]]) -> list[list[str]]:
    """Return the header and a row for each variant."""
    groups = group_by_variant(experiments)
    first = next(iter(groups.values()), [])
    return [HEADER, *(_row(name, lines, first) for name, lines in groups.items())]


def _row(name: str, lines: list[dict[str, Any]], first: list[dict[str, Any]]) -> list[str]:
    cells = [name, str(len(lines))]
    for score, factor, digits in (("exam", 100, 1), ("bits_per_byte", 1, 3)):
        values = [line[score]["score"] for line in lines if line[score]]
        cells.append(_format(mean_of(values), factor, digits) if values else "")
        difference = None if lines is first else paired_difference(lines, first, score)
        cells.append(_format(difference, factor, digits, sign="+") if difference else "")
    tokens = statistics.mean(line["tokens"] for line in lines)
    seconds = statistics.mean(line["seconds"] for line in lines)
    return [*cells, f"{tokens / 1e6:.1f}M", format_duration(seconds)]


def _format(value: Mean, factor: float, digits: int, sign: str = "") -> str:
    unit = " %" if factor == 100 and not sign else ""
    rounded = round(factor * value.mean, digits) + 0.0  # 0.0 instead of -0.0
    text = f"{rounded:{sign}.{digits}f}{unit}"
    if value.half_width is None:
        return text
    return f"{text} ± {factor * value.half_width:.{digits}f}"


def verdicts(experiments: list[dict[str, Any]]) -> list[str]:
    """Return what can be said of each variant against the first one, in words."""
    groups = group_by_variant(experiments)
    if len(groups) < 2:
        return []
    (first_name, first), *others = groups.items()
    return [_verdict(name, lines, first_name, first) for name, lines in others]


def _verdict(
    name: str, lines: list[dict[str, Any]], first_name: str, first: list[dict[str, Any]]
) -> str:
    score, factor, digits, unit = ("exam", 100, 1, "points on the exam")
    if not all(line["exam"] for line in [*lines, *first]):
        score, factor, digits, unit = ("bits_per_byte", -1, 3, "bits per byte")
    difference = paired_difference(lines, first, score)
    if difference is None:
        return f"{name} and {first_name} have no seed in common."
    if difference.half_width is None:
        return f"{name} and {first_name} have one seed in common, which shows no difference."
    gain, half = factor * difference.mean, abs(factor) * difference.half_width
    size = f"{abs(gain):.{digits}f} ± {half:.{digits}f} {unit}"
    if not difference.is_clear:
        return f"No difference can be told between {name} and {first_name} ({size})."
    return f"{name} is {'better' if gain > 0 else 'worse'} than {first_name} by {size}."


def render_results(name: str, experiments: list[dict[str, Any]]) -> str:
    """Return the results as Markdown, which a terminal shows well too."""
    rows = results_table(experiments)
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([f"Sweep {name}", "", *lines, "", *verdicts(experiments)])


def _line(row: list[str], widths: list[int]) -> str:
    return (
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
    )
