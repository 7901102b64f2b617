"""How sure a score is."""

import math

Z95 = 1.959964  # two-sided 95 % of the normal distribution


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (E. B. Wilson, 1927): also sound near 0 and 1, where the usual
    formula fails. Raises ValueError without any trials."""
    if not 0 <= right <= n or n == 0:
        raise ValueError(f"{right} of {n} is no share")
    share, z2 = right / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Exact where nothing or everything is right, which rounding would miss by a hair.
    return 0.0 if right == 0 else middle - half, 1.0 if right == n else middle + half
