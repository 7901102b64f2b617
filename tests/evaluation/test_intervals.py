"""Wilson's interval: published values and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.evaluation.intervals import wilson


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values_are_reproduced(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_proportion_is_inside_and_failures_mirror_successes(counts: tuple[int, int]) -> None:
    right, n = counts
    low, high = wilson(right, n)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1
    assert (low, high) == pytest.approx(tuple(1 - x for x in reversed(wilson(n - right, n))))


@pytest.mark.parametrize(("right", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_invalid_counts_raise(right: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(right, n)


@given(n=st.integers(1, 5000))
def test_the_interval_is_exact_at_zero_and_one(n: int) -> None:
    assert wilson(0, n)[0] == 0
    assert wilson(n, n)[1] == 1
