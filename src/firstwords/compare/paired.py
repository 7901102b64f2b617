"""Differences between two models on the same items, with 95 % intervals.

Two models that answer the same questions are right and wrong together on most of them. Only the
others tell the models apart, so the interval of the difference is much narrower than those of the
two scores suggest.
"""

import math
from typing import NamedTuple

import numpy as np

from firstwords.evaluation.intervals import Z95

RESAMPLES = 2000


class PairedDifference(NamedTuple):
    """How much the second model's score is above the first one's."""

    difference: float
    ci95: tuple[float, float]
    n: int  # items

    @property
    def half_width(self) -> float:
        return (self.ci95[1] - self.ci95[0]) / 2

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        low, high = self.ci95
        return low > 0 or high < 0


def paired_proportions(n: int, only_first: int, only_second: int) -> PairedDifference:
    """Return the difference of two shares of right answers to the same `n` items, of which each
    model alone answered some.

    The interval is the adjusted Wald interval of D. G. Bonett and R. M. Price (Journal of
    Educational and Behavioral Statistics 37, 2012), which is sound for few items too.
    """
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    centre = second - first
    half = Z95 * math.sqrt((first + second - centre**2) / (n + 2))
    return PairedDifference((only_second - only_first) / n, (centre - half, centre + half), n)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of the exact test of Q. McNemar (Psychometrika 12, 1947): how
    often models that are equally good differ by as much, or by more."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    ways = sum(math.comb(n, count) for count in range(fewer + 1))
    return min(1.0, 2 * ways / 2**n)


def holm(p_values: list[float], level: float = 0.05) -> list[bool]:
    """Return which of several tests are significant together, by the method of S. Holm
    (Scandinavian Journal of Statistics 6, 1979): of twenty parts one would differ by chance."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    significant = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - rank):
            break
        significant[index] = True
    return significant


def paired_ratio(first: np.ndarray, second: np.ndarray, sizes: np.ndarray) -> PairedDifference:
    """Return the difference of sum(second) / sum(sizes) and sum(first) / sum(sizes), such as of
    bits per byte, with the percentile interval of a bootstrap (B. Efron, Annals of Statistics 7,
    1979) that draws the same documents for both models."""
    rng, n = np.random.default_rng(0), len(sizes)
    differences = second - first
    samples = (rng.integers(0, n, n) for _ in range(RESAMPLES))
    resampled = [differences[sample].sum() / sizes[sample].sum() for sample in samples]
    low, high = np.percentile(resampled, [2.5, 97.5])
    return PairedDifference(float(differences.sum() / sizes.sum()), (float(low), float(high)), n)
