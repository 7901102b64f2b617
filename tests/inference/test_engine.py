"""Generation: what the model says step by step, however much of it was cached."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY, Sampling
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig

MakeModel = Callable[..., Transformer]
PROMPT = [5, 17, 3, 99, 42]


@pytest.fixture(scope="session")
def model(tiny_model: ModelConfig, random_model: MakeModel) -> Transformer:
    return random_model(tiny_model)


@torch.inference_mode()
def without_cache(model: Transformer, prompt: list[int], n: int) -> list[int]:
    ids = list(prompt)
    for _ in range(n):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def greedy(n: int) -> Sampling:
    return GREEDY.model_copy(update={"max_tokens": n})


def test_greedy_tokens_are_those_of_the_whole_forward_pass(model: Transformer) -> None:
    tokens = list(Engine(model).generate(PROMPT, greedy(30)))
    assert tokens == without_cache(model, PROMPT, 30)
    assert len(set(tokens)) > 3


@settings(max_examples=25)
@given(
    prompts=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=20), min_size=2, max_size=5)
)
def test_what_was_said_before_changes_nothing(model: Transformer, prompts: list[list[int]]) -> None:
    used = Engine(model)
    for prompt in prompts:
        fresh = list(Engine(model).generate(prompt, greedy(4)))
        assert list(used.generate(prompt, greedy(4))) == fresh


def test_logits_after_a_shared_beginning_are_those_of_a_fresh_engine(model: Transformer) -> None:
    used = Engine(model)
    for ids in (PROMPT * 4, PROMPT * 3, [*PROMPT * 3, 8], PROMPT, PROMPT, [6, *PROMPT]):
        torch.testing.assert_close(
            used.next_logits(ids), Engine(model).next_logits(ids), atol=1e-4, rtol=1e-4
        )


def test_a_prompt_that_goes_on_pays_only_for_what_is_new(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    hidden = model.hidden
    monkeypatch.setattr(
        model, "hidden", lambda ids, cache: computed.append(ids.shape[1]) or hidden(ids, cache)
    )
    engine = Engine(model)
    answer = list(engine.generate(PROMPT, greedy(3)))
    assert computed == [5, 1, 1]
    list(engine.generate([*PROMPT, *answer, 9, 9], greedy(1)))
    assert computed == [5, 1, 1, 3]


def test_an_interrupted_pass_leaves_nothing_wrong_in_the_cache(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(model)
    first, second = [5, 6, 7, 8, 9], [5, 1, 2, 3, 4]
    engine.next_logits(first)

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model.layers[-1].mlp, "forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.next_logits(second)
    torch.testing.assert_close(
        engine.next_logits(first), Engine(model).next_logits(first), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("n", [1, 7])
def test_no_more_than_max_tokens_come(n: int, model: Transformer) -> None:
    assert len(list(Engine(model).generate(PROMPT, greedy(n)))) == n


def test_the_context_is_filled_and_not_overrun(model: Transformer) -> None:
    engine = Engine(model)
    assert engine.context == model.config.max_seq_len
    assert len(list(engine.generate(PROMPT, greedy(1000)))) == engine.context - len(PROMPT)
    assert list(engine.generate([1] * engine.context, greedy(5))) == []
    assert len(list(engine.generate([1] * (engine.context - 1), greedy(5)))) == 1


def test_the_seed_decides_what_is_drawn(model: Transformer) -> None:
    def drawn(seed: int, engine: Engine) -> list[int]:
        sampling = Sampling(temperature=1.5, top_k=0, top_p=1.0, max_tokens=20, seed=seed)
        return list(engine.generate(PROMPT, sampling))

    used = Engine(model)
    first = drawn(1, used)
    assert drawn(1, used) == first
    assert drawn(1, Engine(model)) == first
    assert drawn(2, used) != first


def test_forced_tokens_are_context_but_not_counted(model: Transformer) -> None:
    tokens = Engine(model).generate(PROMPT, greedy(4))
    first = next(tokens)
    tokens.force([7, 8])
    rest = list(tokens)
    assert rest == without_cache(model, [*PROMPT, first, 7, 8], 3)


def test_forcing_beyond_the_context_ends_the_answer(model: Transformer) -> None:
    tokens = Engine(model).generate(PROMPT, greedy(10))
    next(tokens)
    tokens.force([1] * 100)
    assert list(tokens) == []
