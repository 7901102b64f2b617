"""Sampling: only from the tokens that top-k and top-p leave, as often as they deserve."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firstwords.inference.sampling import GREEDY, Sampling, choose

P = torch.tensor([0.05, 0.4, 0.15, 0.3, 0.1])
LIKELIEST_FIRST = [1, 3, 2, 4, 0]


def drawn(sampling: Sampling, n: int = 400, logits: torch.Tensor | None = None) -> Counter[int]:
    generator = torch.Generator().manual_seed(1)
    logits = P.log() if logits is None else logits
    return Counter(choose(logits, sampling, generator) for _ in range(n))


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
)
def test_any_logits_give_a_token(
    logits: list[float], temperature: float, top_k: int, top_p: float
) -> None:
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    assert all(0 <= token < len(logits) for token in drawn(sampling, 3, torch.tensor(logits)))


@pytest.mark.parametrize("temperature", [1e-38, 1e-50])
def test_hardly_any_temperature_takes_the_likeliest(temperature: float) -> None:
    assert drawn(Sampling(temperature=temperature), 5, 100 * P) == {1: 5}


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"max_tokens": 0}, {"x": 1}],
)
def test_options_without_a_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Sampling(**wrong)
