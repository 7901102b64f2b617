"""Sampling: only tokens that the truncation keeps, in proportion to their probabilities."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firstwords.inference.sampling import (
    GREEDY,
    Sampling,
    log_probabilities,
    penalize_generated,
    sample_token,
    truncated_probabilities,
    uniform,
)

P = np.array([0.05, 0.4, 0.15, 0.3, 0.1])
MOST_LIKELY_FIRST = [1, 3, 2, 4, 0]


def drawn(sampling: Sampling, n: int = 400, logits: np.ndarray | None = None) -> Counter[int]:
    logits = np.log(P) if logits is None else logits
    return Counter(sample_token(logits, sampling, set(), count) for count in range(n))


def test_temperature_zero_takes_the_most_likely_token() -> None:
    assert drawn(GREEDY, 5) == {1: 5}


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_top_k_keeps_the_k_most_likely_tokens(k: int) -> None:
    counts = drawn(Sampling(temperature=1.0, top_k=k, top_p=1.0))
    assert set(counts) == set(MOST_LIKELY_FIRST[:k])


@pytest.mark.parametrize(
    ("top_p", "n_kept"), [(0.01, 1), (0.39, 1), (0.5, 2), (0.69, 2), (0.75, 3), (0.9, 4), (1.0, 5)]
)
def test_top_p_keeps_the_most_likely_tokens_up_to_its_sum(top_p: float, n_kept: int) -> None:
    counts = drawn(Sampling(temperature=1.0, top_k=0, top_p=top_p))
    assert set(counts) == set(MOST_LIKELY_FIRST[:n_kept])


def test_tokens_are_drawn_in_proportion_to_their_probabilities() -> None:
    counts = drawn(Sampling(temperature=1.0, top_k=0, top_p=1.0), 4000)
    for token, p in enumerate(P.tolist()):
        assert counts[token] / 4000 == pytest.approx(p, abs=0.03)


@pytest.mark.parametrize("spread", [0.0, 1.0, 6.0])
def test_a_draw_from_all_tokens_is_that_of_sorting_them_all(spread: float) -> None:
    logits = (np.random.default_rng(0).normal(size=500) * spread).astype(np.float32)
    sampling = Sampling(temperature=1.0, top_k=0, top_p=1.0, seed=3)
    order, p = truncated_probabilities(logits, sampling)
    for count in range(300):
        place = np.searchsorted(p.cumsum(), uniform(3, count) * p.sum(), side="right")
        assert sample_token(logits, sampling, set(), count) == order[place]


def test_a_low_temperature_sharpens_and_a_high_one_flattens() -> None:
    shares = [
        drawn(Sampling(temperature=t, top_k=0, top_p=1.0), 2000)[1] / 2000 for t in (0.3, 1.0, 5.0)
    ]
    assert shares[0] > 0.6
    assert shares[0] > shares[1] > shares[2]


@given(
    logits=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=30),
    temperature=st.one_of(st.just(0.0), st.floats(1e-3, 10)),
    top_k=st.integers(0, 40),
    top_p=st.floats(1e-6, 1),
    min_p=st.floats(0, 1),
    penalty=st.floats(0.1, 10),
)
def test_any_finite_logits_give_a_token(
    logits: list[float],
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    penalty: float,
) -> None:
    sampling = Sampling(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=penalty,
    )
    assert all(
        0 <= token < len(logits) for token in drawn(sampling, 3, np.array(logits, dtype=np.float32))
    )


@pytest.mark.parametrize("temperature", [1e-38, 1e-50])
def test_a_tiny_temperature_takes_the_most_likely_token(temperature: float) -> None:
    assert drawn(Sampling(temperature=temperature), 5, 100 * P) == {1: 5}


@pytest.mark.parametrize(("min_p", "n_kept"), [(0.0, 5), (0.2, 4), (0.3, 3), (0.5, 2), (1.0, 1)])
def test_min_p_keeps_tokens_not_far_below_the_most_likely(min_p: float, n_kept: int) -> None:
    counts = drawn(Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=min_p))
    assert set(counts) == set(MOST_LIKELY_FIRST[:n_kept])


def test_a_penalty_lowers_positive_and_negative_logits() -> None:
    sampling = GREEDY.replace(repetition_penalty=2.0)
    for logits in (np.array([3.0, 2.0, -1.0]), np.array([-1.0, -1.5, -9.0])):
        assert sample_token(logits, sampling, set(), 0) == 0
        assert sample_token(logits, sampling, {0}, 0) == 1
        assert sample_token(logits, sampling, {2}, 0) == 0


def test_openais_penalties_count_the_generated_tokens() -> None:
    logits, generated = np.zeros(3), [0, 2, 2, 2]
    sampling = GREEDY.replace(frequency_penalty=0.5, presence_penalty=0.25)
    assert penalize_generated(logits, sampling, generated).tolist() == [-0.75, 0.0, -1.75]
    rewarded = GREEDY.replace(presence_penalty=-1)
    assert penalize_generated(logits, rewarded, generated).tolist() == [1.0, 0.0, 1.0]
    assert penalize_generated(logits, GREEDY, generated) is logits
    assert logits.tolist() == [0.0] * 3


def test_draws_depend_only_on_seed_and_count() -> None:
    numbers = [uniform(seed, count) for seed in range(20) for count in range(200)]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= number < 1 for number in numbers)
    assert sum(numbers) / len(numbers) == pytest.approx(0.5, abs=0.02)
    assert uniform(7, 3) == uniform(7, 3)


@pytest.mark.parametrize("by_seed", [True, False])
def test_draws_are_uniform_over_seeds_and_counts(by_seed: bool) -> None:
    """Also for pairs of neighbours: a chi-squared test with 99 degrees of freedom."""
    numbers = [uniform(n, 5) if by_seed else uniform(5, n) for n in range(20_001)]
    cells = [int(10 * a) * 10 + int(10 * b) for a, b in itertools.pairwise(numbers)]
    expected = len(cells) / 100
    statistic = sum((cells.count(cell) - expected) ** 2 / expected for cell in range(100))
    assert 50 < statistic < 160


def test_log_probabilities_are_a_softmax() -> None:
    logits = np.array([1e4, 1e4 - 1, -1e4], dtype=np.float32)
    nats = log_probabilities(logits)
    assert np.exp(nats).sum() == pytest.approx(1)
    assert nats[0] - nats[1] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"min_p": 2},
        {"repetition_penalty": 0},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"max_tokens": 0},
        {"x": 1},
    ],
)
def test_invalid_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Sampling(**wrong)
