"""Sampling: only from the tokens that top-k and top-p leave, as often as they deserve."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firstwords.inference.sampling import GREEDY, Sampling, choose, log_probabilities, uniform

P = np.array([0.05, 0.4, 0.15, 0.3, 0.1])
LIKELIEST_FIRST = [1, 3, 2, 4, 0]


def drawn(sampling: Sampling, n: int = 400, logits: np.ndarray | None = None) -> Counter[int]:
    logits = np.log(P) if logits is None else logits
    return Counter(choose(logits, sampling, set(), place) for place in range(n))


def test_temperature_zero_takes_the_likeliest() -> None:
    assert drawn(GREEDY, 5) == {1: 5}


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_top_k_leaves_the_k_likeliest(k: int) -> None:
    found = drawn(Sampling(temperature=1.0, top_k=k, top_p=1.0))
    assert set(found) == set(LIKELIEST_FIRST[:k])


@pytest.mark.parametrize(
    ("top_p", "left"), [(0.01, 1), (0.39, 1), (0.5, 2), (0.69, 2), (0.75, 3), (0.9, 4), (1.0, 5)]
)
def test_top_p_leaves_the_likeliest_that_make_up_its_share(top_p: float, left: int) -> None:
    found = drawn(Sampling(temperature=1.0, top_k=0, top_p=top_p))
    assert set(found) == set(LIKELIEST_FIRST[:left])


def test_tokens_come_as_often_as_they_are_likely() -> None:
    found = drawn(Sampling(temperature=1.0, top_k=0, top_p=1.0), 4000)
    for token, p in enumerate(P.tolist()):
        assert found[token] / 4000 == pytest.approx(p, abs=0.03)


def test_a_low_temperature_prefers_the_likeliest_and_a_high_one_levels() -> None:
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
def test_any_logits_give_a_token(
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
def test_hardly_any_temperature_takes_the_likeliest(temperature: float) -> None:
    assert drawn(Sampling(temperature=temperature), 5, 100 * P) == {1: 5}


@pytest.mark.parametrize(("min_p", "left"), [(0.0, 5), (0.2, 4), (0.3, 3), (0.5, 2), (1.0, 1)])
def test_min_p_leaves_what_is_not_far_below_the_likeliest(min_p: float, left: int) -> None:
    found = drawn(Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=min_p))
    assert set(found) == set(LIKELIEST_FIRST[:left])


def test_a_penalty_makes_what_was_there_less_likely_whatever_its_sign() -> None:
    sampling = GREEDY.model_copy(update={"repetition_penalty": 2.0})
    for logits in (np.array([3.0, 2.0, -1.0]), np.array([-1.0, -1.5, -9.0])):
        assert choose(logits, sampling, set(), 0) == 0
        assert choose(logits, sampling, {0}, 0) == 1
        assert choose(logits, sampling, {2}, 0) == 0


def test_what_is_drawn_depends_on_seed_and_place_alone() -> None:
    numbers = [uniform(seed, place) for seed in range(20) for place in range(200)]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= number < 1 for number in numbers)
    assert sum(numbers) / len(numbers) == pytest.approx(0.5, abs=0.02)
    assert uniform(7, 3) == uniform(7, 3)


@pytest.mark.parametrize("by_seed", [True, False])
def test_draws_of_one_place_or_one_seed_are_spread_evenly(by_seed: bool) -> None:
    """Pairs of neighbours too: a chi-squared test with 99 degrees of freedom."""
    numbers = [uniform(n, 5) if by_seed else uniform(5, n) for n in range(20_001)]
    cells = [int(10 * a) * 10 + int(10 * b) for a, b in itertools.pairwise(numbers)]
    expected = len(cells) / 100
    statistic = sum((cells.count(cell) - expected) ** 2 / expected for cell in range(100))
    assert 50 < statistic < 160


def test_log_probabilities_are_those_of_a_softmax() -> None:
    logits = np.array([1e4, 1e4 - 1, -1e4], dtype=np.float32)
    found = log_probabilities(logits)
    assert np.exp(found).sum() == pytest.approx(1)
    assert found[0] - found[1] == pytest.approx(1, abs=1e-3)


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
def test_options_without_a_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Sampling(**wrong)
