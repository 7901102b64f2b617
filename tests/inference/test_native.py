"""The step that is compiled: as PyTorch's operations have it, for any shape, and alone or not."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords import machine
from firstwords.inference import native
from firstwords.inference.decoder import Decoder, EagerStep
from firstwords.inference.native import NativeStep
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig

MakeModel = Callable[..., Transformer]
CONTEXT = 20
needs_compiler = pytest.mark.skipif(not machine.can_compile(), reason="no C++ compiler here")

shapes = st.builds(
    lambda n_layer, n_embd, n_kv_head, group, head_dim, n_hidden, vocab_size: ModelConfig(
        vocab_size=vocab_size,
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_kv_head * group,
        n_kv_head=n_kv_head,
        head_dim=2 * head_dim,
        n_hidden=n_hidden,
        max_seq_len=CONTEXT,
    ),
    st.integers(1, 3),
    st.integers(8, 70),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 20),
    st.integers(8, 90),
    st.integers(10, 90),
)


def steps_of(model: Transformer, slots: int) -> tuple[Decoder, EagerStep]:
    """The compiled step, and the other one with a cache of its own."""
    decoder, other = Decoder(model, slots), Decoder(model, slots)
    assert isinstance(decoder._step, NativeStep)
    return decoder, EagerStep(model, other.cache)


@needs_compiler
@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(1, 21), st.integers(1, 3), st.randoms(use_true_random=False))
def test_logits_are_those_of_pytorchs_operations(
    random_model: MakeModel, config: ModelConfig, slots: int, threads: int, rng: object
) -> None:
    """Sizes that fill no register, more threads than work, slots in any order and some left out."""
    model, before = random_model(config), torch.get_num_threads()
    decoder, eager = steps_of(model, slots)
    torch.set_num_threads(threads)
    try:
        lengths = [0] * slots
        for _ in range(4):
            chosen = rng.sample(range(slots), rng.randint(1, slots))  # type: ignore[attr-defined]
            ids = [rng.randrange(config.vocab_size) for _ in chosen]  # type: ignore[attr-defined]
            positions = [lengths[slot] for slot in chosen]
            with torch.inference_mode():
                expected_BV = eager(chosen, ids, positions)
            found_BV = decoder.next_logits(chosen, ids, positions)
            torch.testing.assert_close(found_BV, expected_BV, atol=1e-4, rtol=1e-4)
            for slot in chosen:
                lengths[slot] += 1
    finally:
        torch.set_num_threads(before)


@needs_compiler
@settings(max_examples=30, deadline=None)
@given(
    shapes,
    st.lists(st.integers(0, CONTEXT // 2), min_size=1, max_size=6),
    st.integers(1, CONTEXT // 2),
    st.integers(1, 40),
)
def test_prompts_are_read_as_pytorchs_operations_do(
    random_model: MakeModel, config: ModelConfig, lengths: list[int], more: int, at_a_time: int
) -> None:
    """In parts of any size, and what follows afterwards."""
    model = random_model(config)
    decoder, eager = steps_of(model, len(lengths))
    slots = list(range(len(lengths)))[::-1]
    texts = [[(7 * n + 3) % config.vocab_size for n in range(length)] for length in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "READ_TOKENS", at_a_time)
        decoder.read(slots, texts)
        decoder.read([0], [[1] * more], start=len(texts[-1]))
    with torch.inference_mode():
        if any(texts):
            eager.read(slots, texts, 0)
        eager.read([0], [[1] * more], len(texts[-1]))
    kept = [*lengths[:-1], lengths[-1] + more]
    for slot, length in zip(slots, kept, strict=True):
        for found, expected in (
            (decoder.cache.k_LBKSD, eager._cache.k_LBKSD),
            (decoder.cache.v_LBKSD, eager._cache.v_LBKSD),
        ):
            torch.testing.assert_close(
                found[:, slot, :, :length], expected[:, slot, :, :length], atol=1e-4, rtol=1e-4
            )


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
def test_who_shares_the_step_does_not_change_a_bit(
    threads: int, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, before = random_model(tiny_model), torch.get_num_threads()
    texts = torch.randint(
        tiny_model.vocab_size, (23, 6), generator=torch.Generator().manual_seed(1)
    )
    together, alone = Decoder(model, 23), Decoder(model, 23)
    torch.set_num_threads(threads)
    try:
        for slot in range(23):
            alone.read([slot], [[3, 1, slot]])
        together.read(list(range(23)), [[3, 1, slot] for slot in range(23)])
        for position in range(3, 9):
            ids = [int(row[position - 3]) for row in texts]
            all_BV = together.next_logits(list(range(23)), ids, [position] * 23)
            for slot in range(23):
                own_V = alone.next_logits([slot], [ids[slot]], [position])[0]
                assert torch.equal(own_V, all_BV[slot])
    finally:
        torch.set_num_threads(before)


def test_without_a_compiler_steps_are_pytorchs(
    tiny_model: ModelConfig, random_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "compiler", lambda: None)
    monkeypatch.setattr(native, "library", native.library.__wrapped__)
    assert isinstance(Decoder(random_model(tiny_model), 1)._step, EagerStep)


def test_a_compiler_that_fails_is_told_of_and_done_without(
    tiny_model: ModelConfig,
    random_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("FIRSTWORDS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(machine, "compiler", lambda: str(broken))
    monkeypatch.setattr(native, "library", native.library.__wrapped__)
    assert isinstance(Decoder(random_model(tiny_model), 1)._step, EagerStep)
    assert "could not be compiled" in capsys.readouterr().err
    assert not list((tmp_path / "home").rglob("step-*"))


@needs_compiler
def test_several_may_compile_at_a_time(tmp_path: Path) -> None:
    code = "from firstwords.inference import native; assert native.library().lanes() >= 4"
    environment = {**os.environ, "FIRSTWORDS_HOME": str(tmp_path)}
    started = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    assert len(list((tmp_path / "compiled").iterdir())) == 1
