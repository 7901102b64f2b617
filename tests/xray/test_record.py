"""Recordings are what the model computes."""

import threading
from collections.abc import Callable

import pytest
import torch

from firstwords.inspect.xray.record import copy_sharing_weights, read_out, record
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig

MakeModel = Callable[..., Transformer]
IDS = [0, 40, 41, 42, 40, 41, 300, 7, 8, 40]


@pytest.fixture
def model(tiny_model: ModelConfig, random_model: MakeModel) -> Transformer:
    return random_model(tiny_model)


def test_probabilities_times_values_are_the_output_of_attention(model: Transformer) -> None:
    calls = record(model, IDS).calls
    assert len(calls) == model.config.n_layer
    for call in calls:
        p_BHTT = call.probabilities()
        group = model.config.n_head // model.config.n_kv_head
        v_BHTD = call.v_BKSD.repeat_interleave(group, dim=1)
        torch.testing.assert_close(p_BHTT @ v_BHTD, call.y_BHTD, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(p_BHTT.sum(-1), torch.ones(p_BHTT.shape[:3]))
        assert p_BHTT.triu(1).abs().max() == 0


def test_logits_and_the_last_level_of_the_lens_match_the_model(model: Transformer) -> None:
    recording = record(model, IDS)
    with torch.inference_mode():
        logits_TV = model(torch.tensor([IDS]))[0]
    torch.testing.assert_close(recording.logits_TV, logits_TV, atol=0, rtol=0)
    assert len(recording.states_TC) == model.config.n_layer + 1
    last = read_out(model, recording.states_TC[-1])
    torch.testing.assert_close(last, logits_TV, atol=1e-6, rtol=1e-6)
    first = recording.states_TC[0]
    torch.testing.assert_close(first, model.embed_tokens.weight[IDS], atol=0, rtol=0)


def test_model_is_left_unchanged(model: Transformer) -> None:
    record(model, IDS)
    assert not any(module._forward_hooks for module in model.modules())
    # The copy has the parameters themselves.
    for ours, theirs in zip(
        copy_sharing_weights(model).parameters(), model.parameters(), strict=True
    ):
        assert ours is theirs


def test_other_threads_are_not_recorded(model: Transformer) -> None:
    stop = threading.Event()

    def use() -> None:
        while not stop.is_set():
            with torch.inference_mode():
                model(torch.tensor([[1, 2, 3]]))

    thread = threading.Thread(target=use)
    thread.start()
    try:
        for _ in range(20):
            recording = record(model, IDS)
            assert len(recording.calls) == model.config.n_layer
            assert all(len(state_TC) == len(IDS) for state_TC in recording.states_TC)
    finally:
        stop.set()
        thread.join()
