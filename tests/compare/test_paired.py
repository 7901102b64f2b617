"""Intervals and tests of paired differences, against known values."""

import math

import numpy as np
import pytest

from firstwords.compare.paired import holm, mcnemar, paired_proportions, paired_ratio


def test_mcnemar_is_a_binomial_test_of_the_items_that_differ() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(0, 5) == pytest.approx(2 / 2**5)
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(9, 1) == mcnemar(1, 9)
    assert mcnemar(900, 1100) == pytest.approx(8.4e-6, rel=0.05)


def test_interval_of_bonett_and_price() -> None:
    found = paired_proportions(100, only_first=5, only_second=15)
    first, second = 6 / 102, 16 / 102
    half = 1.959964 * math.sqrt((first + second - (second - first) ** 2) / 102)
    assert found.difference == pytest.approx(0.1)
    assert found.ci95 == pytest.approx((10 / 102 - half, 10 / 102 + half))
    assert found.is_clear
    assert not paired_proportions(100, 5, 7).is_clear


def test_the_interval_contains_the_true_difference_as_often_as_it_says() -> None:
    rng, hits, repetitions = np.random.default_rng(0), 0, 1000
    for counts in rng.multinomial(60, [0.15, 0.05, 0.8], repetitions):
        low, high = paired_proportions(60, int(counts[0]), int(counts[1])).ci95
        hits += low <= 0.05 - 0.15 <= high
    assert 0.93 < hits / repetitions < 0.98


def test_holm_stops_at_the_first_that_is_not_significant() -> None:
    assert holm([0.04, 0.001, 0.02]) == [True, True, True]
    assert holm([0.04, 0.001, 0.03]) == [False, True, False]
    assert holm([]) == []


def test_pairing_narrows_the_interval_of_bits_per_byte() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(100, 1000, 200).astype(float)
    first = sizes * rng.uniform(0.5, 3, 200)  # documents differ much more than models
    second = first - 0.01 * sizes
    paired = paired_ratio(first, second, sizes)
    assert paired.difference == pytest.approx(-0.01)
    assert paired.half_width < 1e-6
    assert paired.is_clear
    shuffled = paired_ratio(first, rng.permutation(second), sizes)
    assert shuffled.half_width > 0.05
