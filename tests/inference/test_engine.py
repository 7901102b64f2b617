"""The engine: batching, slots and cache reuse do not change what is generated."""

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine, Sequence
from firstwords.inference.sampling import GREEDY, Sampling
from firstwords.kernels import build
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig

MakeModel = Callable[..., Transformer]
PROMPT = [5, 17, 3, 99, 42]


@pytest.fixture(scope="module", params=["native", "eager"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test of this file with both backends of the decoder."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "eager":
            patch.setattr(build, "decode_library", lambda: None)
        elif build.decode_library() is None:
            pytest.skip("no C++ compiler")
        yield


@pytest.fixture(scope="session")
def model(tiny_model: ModelConfig, random_model: MakeModel) -> Transformer:
    return random_model(tiny_model)


@torch.inference_mode()
def without_cache(model: Transformer, prompt: list[int], n: int) -> list[int]:
    ids = list(prompt)
    for _ in range(n):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def engine_of(model: Transformer, slots: int = 1) -> Engine:
    return Engine(Decoder(model, slots))


def greedy(n: int) -> Sampling:
    return GREEDY.replace(max_tokens=n)


def test_greedy_tokens_equal_those_of_the_full_forward_pass(model: Transformer) -> None:
    tokens = list(engine_of(model).generate(PROMPT, greedy(30)))
    assert tokens == without_cache(model, PROMPT, 30)
    assert len(set(tokens)) > 3


@settings(max_examples=25)
@given(
    prompts=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=20), min_size=2, max_size=5)
)
def test_earlier_requests_change_nothing(model: Transformer, prompts: list[list[int]]) -> None:
    used = engine_of(model)
    for prompt in prompts:
        fresh = list(engine_of(model).generate(prompt, greedy(4)))
        assert list(used.generate(prompt, greedy(4))) == fresh


@torch.inference_mode()
def test_a_step_has_the_logits_of_the_full_forward_pass(model: Transformer) -> None:
    """Sequences of different lengths in slots of any order, prefilled at once or in parts."""
    decoder = Decoder(model, 4)
    prompts = {2: PROMPT, 0: PROMPT * 3, 3: [7]}
    decoder.prefill([2, 0], [prompts[2][:-1], prompts[0][:-1]])
    for slots in ([0, 2, 3], [3, 0], [2]):
        logits_BV = decoder.decode(
            slots, [prompts[s][-1] for s in slots], [len(prompts[s]) - 1 for s in slots]
        )
        for slot, logits_V in zip(slots, logits_BV, strict=True):
            expected_V = model(torch.tensor([prompts[slot]]))[0, -1]
            torch.testing.assert_close(logits_V, expected_V, atol=1e-4, rtol=1e-4)
    decoder.prefill([0], [[8, 9, 10]], start=len(PROMPT) * 3)
    longer = [*prompts[0], 8, 9, 10, 11]
    logits_V = decoder.decode([0], [11], [len(longer) - 1])[0]
    torch.testing.assert_close(logits_V, model(torch.tensor([longer]))[0, -1], atol=1e-4, rtol=1e-4)


@settings(max_examples=20)
@given(
    prompts=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=40), min_size=1, max_size=9),
    slots=st.integers(1, 5),
    seed=st.integers(0, 3),
)
def test_the_rest_of_the_batch_changes_nothing(
    model: Transformer, prompts: list[list[int]], slots: int, seed: int
) -> None:
    """Greedy or sampled, joining and leaving at any time, each sequence is as if alone."""
    sampling = [
        Sampling(temperature=1.2 * (n % 2), max_tokens=1 + n * 3, seed=seed + n, top_k=0)
        for n in range(len(prompts))
    ]
    engine, sequences = engine_of(model, slots), list[Sequence]()
    for prompt, how in zip(prompts, sampling, strict=True):
        sequences.append(engine.submit(prompt, how))
        engine.step()
    while engine.busy:
        assert engine.running <= slots
        engine.step()
    for prompt, how, sequence in zip(prompts, sampling, sequences, strict=True):
        assert sequence.generated == list(engine_of(model).generate(prompt, how))


def test_a_finished_sequence_frees_its_slot(model: Transformer) -> None:
    engine = engine_of(model, 2)
    sequences = [engine.submit(PROMPT, greedy(50)) for _ in range(3)]
    engine.step()
    assert (engine.running, engine.waiting) == (2, 1)
    sequences[0].finish()
    engine.step()
    assert (engine.running, engine.waiting) == (2, 0)
    assert len(sequences[0].generated) == 1
    assert len(sequences[1].generated) == 2
    sequences[2].finish()
    sequences[1].finish()
    engine.step()
    assert not engine.busy


def test_an_empty_prompt_is_refused(model: Transformer) -> None:
    with pytest.raises(ValueError, match="token"):
        engine_of(model).submit([], greedy(3))


def test_only_the_new_part_of_a_prompt_is_prefilled(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, prefilled = Decoder(model, 2), list[int]()
    engine, prefill = Engine(decoder), decoder._backend.prefill

    def recorded(slots: list[int], prompts: list[list[int]], start: int) -> None:
        prefilled.append(len(prompts[0]))
        prefill(slots, prompts, start)

    monkeypatch.setattr(decoder._backend, "prefill", recorded)
    answer = list(engine.generate(PROMPT, greedy(3)))
    assert prefilled == [4]
    list(engine.generate([*PROMPT, *answer, 9, 9], greedy(1)))
    assert prefilled == [4, 2], "the last token goes through the step"
    list(engine.generate([8, 8, 8], greedy(1)))
    list(engine.generate([*PROMPT, *answer, 9, 9, 1], greedy(1)))
    assert prefilled == [4, 2, 2], "another prompt took the other slot"


def test_an_interrupted_prefill_does_not_corrupt_the_cache(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = Decoder(model, 1)
    engine, prefill = Engine(decoder), decoder._backend.prefill
    first, second = [5, 6, 7, 8, 9], [5, 1, 2, 3, 4]
    expected = {tuple(p): list(engine_of(model).generate(p, greedy(6))) for p in (first, second)}
    list(engine.generate(first, greedy(2)))

    def interrupted(slots: list[int], prompts: list[list[int]], start: int) -> None:
        prefill(slots, [prompt[:2] for prompt in prompts], start)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoder._backend, "prefill", interrupted)
        generation = engine.generate(second, greedy(6))
        with pytest.raises(KeyboardInterrupt):
            next(generation)
        generation.close()
    for prompt in (second, first):
        assert list(engine.generate(prompt, greedy(6))) == expected[tuple(prompt)]


@pytest.mark.parametrize("n", [1, 7])
def test_generation_stops_at_max_tokens(n: int, model: Transformer) -> None:
    assert len(list(engine_of(model).generate(PROMPT, greedy(n)))) == n


def test_generation_stops_when_the_context_is_full(model: Transformer) -> None:
    engine = engine_of(model)
    assert engine.context == model.config.max_seq_len
    assert len(list(engine.generate(PROMPT, greedy(1000)))) == engine.context - len(PROMPT)
    assert list(engine.generate([1] * engine.context, greedy(5))) == []
    assert len(list(engine.generate([1] * (engine.context - 1), greedy(5)))) == 1


def test_the_seed_determines_what_is_sampled(model: Transformer) -> None:
    def sampled(seed: int, engine: Engine) -> list[int]:
        sampling = Sampling(temperature=1.5, top_k=0, top_p=1.0, max_tokens=20, seed=seed)
        return list(engine.generate(PROMPT, sampling))

    used = engine_of(model)
    first = sampled(1, used)
    assert sampled(1, used) == first
    assert sampled(1, engine_of(model)) == first
    assert sampled(2, used) != first


def test_forced_tokens_are_context_but_not_output(model: Transformer) -> None:
    tokens = engine_of(model).generate(PROMPT, greedy(4))
    first = next(tokens)
    tokens.force([7, 8])
    rest = list(tokens)
    assert rest == without_cache(model, [*PROMPT, first, 7, 8], 3)


def test_forcing_tokens_beyond_the_context_ends_the_sequence(model: Transformer) -> None:
    tokens = engine_of(model).generate(PROMPT, greedy(10))
    next(tokens)
    tokens.force([1] * 100)
    assert list(tokens) == []
