"""Log-likelihoods of continuations: prefix sharing and batching do not change them."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstwords.evaluation import loglikelihood
from firstwords.evaluation.loglikelihood import Pair, encode_pair, loglikelihoods, truncate
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import Tokenizer

MakeModel = Callable[..., Transformer]


@torch.inference_mode()
def alone(model: Transformer, pair: Pair) -> tuple[float, bool]:
    """Return the nats of a pair, and whether it is greedy, from one sequence without cache."""
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
def test_likelihoods_equal_those_of_single_sequences(
    pairs: int, tiny_model: ModelConfig, random_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loglikelihood, "PAIRS_PER_BATCH", pairs)
    model, done = random_model(tiny_model), list[int]()
    results = loglikelihoods(model, ITEMS, done.append)
    assert sum(done) == len(ITEMS)
    for item, likelihoods in zip(ITEMS, results, strict=True):
        for pair, one in zip(item, likelihoods, strict=True):
            nats, greedy = alone(model, pair)
            assert one.nats == pytest.approx(nats, rel=1e-4, abs=1e-4)
            assert (one.n_tokens, one.greedy) == (len(pair.continuation), greedy)
            assert one.mean == pytest.approx(one.nats / one.n_tokens)


def test_the_greedy_continuation_is_greedy(
    tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, ids = random_model(tiny_model), [1, 9, 8]
    with torch.inference_mode():
        for _ in range(3):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    other = (ids[-1] + 1) % tiny_model.vocab_size
    [[same, different]] = loglikelihoods(
        model, [[Pair(ids[:3], ids[3:]), Pair(ids[:3], [*ids[3:5], other])]]
    )
    assert same.greedy
    assert not different.greedy


@given(st.integers(1, 90), st.integers(1, 90))
def test_a_long_pair_loses_its_beginning(context: int, continuation: int) -> None:
    pair = Pair(list(range(context)), list(range(100, 100 + continuation)))
    cut = truncate(pair, 64)
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
def test_a_pair_is_tokenized_as_running_text(
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
