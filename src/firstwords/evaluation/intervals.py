"""Confidence intervals of scores."""

import math

Z95 = 1.959964  # two-sided 95 % quantile of the normal distribution


def wilson(n_correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion (E. B. Wilson, 1927).

    Unlike the usual normal approximation it is also sound near 0 and 1. Raises ValueError unless
    0 <= n_correct <= n and n > 0.
    """
    if not 0 <= n_correct <= n or n == 0:
        raise ValueError(f"{n_correct} of {n} is not a proportion")
    share, z2 = n_correct / n, Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Exact at 0 and 1, which rounding would miss slightly.
    low = 0.0 if n_correct == 0 else centre - half
    high = 1.0 if n_correct == n else centre + half
    return low, high
