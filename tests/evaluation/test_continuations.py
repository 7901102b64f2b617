"""Likelihoods of continuations: those of the plain model, whatever is shared and batched."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstwords.evaluation import continuations
from firstwords.evaluation.continuations import Pair, encode_pair, fit, likelihoods
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import Tokenizer

MakeModel = Callable[..., Transformer]


@torch.inference_mode()
def alone(model: Transformer, pair: Pair) -> tuple[float, bool]:
    """The plain model on one sequence."""
    ids = [*pair.context, *pair.continuation]
    logits_TV = model(torch.tensor([ids[:-1]]))[0, len(pair.context) - 1 :].double()
    targets = torch.tensor(pair.continuation)
    nats = logits_TV.log_softmax(-1).gather(1, targets[:, None]).sum().item()
    return nats, bool((logits_TV.argmax(-1) == targets).all())


ITEMS = [
    [Pair([1, 9, 8, 7], [5]), Pair([1, 9, 8, 7], [5, 6, 7, 300])],
    [Pair([1, 9, 4], [2, 2]), Pair([1, 9, 8, 8, 8], [2, 2])],
    [Pair([3], [4])],
    [Pair([1] * 40, [n]) for n in range(20, 30)],
    [Pair([1, 9, 8, 7], [5]), Pair([1, 9, 8], [7, 5])],
]


@pytest.mark.parametrize("pairs", [1, 4, 32])
def test_they_are_those_of_one_sequence_at_a_time(
    pairs: int, tiny_model: ModelConfig, random_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuations, "PAIRS", pairs)
    model, done = random_model(tiny_model), list[int]()
    found = likelihoods(model, ITEMS, done.append)
    assert sum(done) == len(ITEMS)
    for item, liked in zip(ITEMS, found, strict=True):
        for pair, one in zip(item, liked, strict=True):
            nats, greedy = alone(model, pair)
            assert one.nats == pytest.approx(nats, rel=1e-4, abs=1e-4)
            assert (one.tokens, one.greedy) == (len(pair.continuation), greedy)
            assert one.mean == pytest.approx(one.nats / one.tokens)


def test_what_the_model_would_write_is_greedy(
    tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, ids = random_model(tiny_model), [1, 9, 8]
    with torch.inference_mode():
        for _ in range(3):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    other = (ids[-1] + 1) % tiny_model.vocab_size
    [[same, different]] = likelihoods(
        model, [[Pair(ids[:3], ids[3:]), Pair(ids[:3], [*ids[3:5], other])]]
    )
    assert same.greedy
    assert not different.greedy


@given(st.integers(1, 90), st.integers(1, 90))
def test_long_ones_lose_their_beginning_and_fit(context: int, continuation: int) -> None:
    pair = Pair(list(range(context)), list(range(100, 100 + continuation)))
    cut = fit(pair, 64)
    assert 1 <= len(cut.context) <= context
    assert len(cut.context) + len(cut.continuation) - 1 <= 64
    assert cut.context[-1] == pair.context[-1]
    if continuation <= 64:
        assert cut.continuation == pair.continuation
    if context + continuation <= 65:
        assert cut == pair


@pytest.mark.parametrize(
    ("context", "continuation"),
    [
        ("The old", " fox"),
        ("The old ", "fox"),
        ("Answer: ", "12"),
        ("A\n\n", "the river"),
        ("", "x"),
    ],
)
def test_a_pair_is_cut_as_running_text(
    context: str, continuation: str, tiny_tokenizer: Tokenizer
) -> None:
    pair = encode_pair(tiny_tokenizer, [0], context, continuation)
    assert pair.context[0] == 0
    assert [*pair.context[1:], *pair.continuation] == tiny_tokenizer.encode(context + continuation)
    assert continuation.strip() in tiny_tokenizer.decode(pair.continuation)
    same = encode_pair(
        tiny_tokenizer, [0], context.rstrip(), context[len(context.rstrip()) :] + continuation
    )
    assert pair == same
