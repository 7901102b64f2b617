"""The compiled decoder agrees with PyTorch for any shape, and does not depend on the batch."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import LIMIT_SECONDS

from firstwords.common import hardware
from firstwords.inference.decoder import Decoder, EagerBackend
from firstwords.kernels import build, decode
from firstwords.kernels.decode import NativeBackend
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig

MakeModel = Callable[..., Transformer]
CONTEXT = 20
needs_compiler = pytest.mark.skipif(not hardware.has_compiler(), reason="no C++ compiler")

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


def both_backends(model: Transformer, slots: int) -> tuple[Decoder, EagerBackend]:
    """Return a compiled decoder, and the eager backend with a cache of its own."""
    decoder, other = Decoder(model, slots), Decoder(model, slots)
    assert isinstance(decoder._backend, NativeBackend)
    return decoder, EagerBackend(model, other.cache)


@needs_compiler
@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(1, 21), st.integers(1, 3), st.randoms(use_true_random=False))
def test_logits_agree_with_pytorch(
    random_model: MakeModel, config: ModelConfig, slots: int, threads: int, rng: object
) -> None:
    """Sizes that fill no register, more threads than work, any subset of slots in any order."""
    model, before = random_model(config), torch.get_num_threads()
    decoder, eager = both_backends(model, slots)
    torch.set_num_threads(threads)
    try:
        lengths = [0] * slots
        for _ in range(4):
            chosen = rng.sample(range(slots), rng.randint(1, slots))  # type: ignore[attr-defined]
            ids = [rng.randrange(config.vocab_size) for _ in chosen]  # type: ignore[attr-defined]
            positions = [lengths[slot] for slot in chosen]
            with torch.inference_mode():
                expected_BV = eager.decode(chosen, ids, positions)
            logits_BV = decoder.decode(chosen, ids, positions)
            torch.testing.assert_close(logits_BV, expected_BV, atol=1e-4, rtol=1e-4)
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
def test_prefill_agrees_with_pytorch(
    random_model: MakeModel, config: ModelConfig, lengths: list[int], more: int, chunk_tokens: int
) -> None:
    """In chunks of any size, and for prompts that are extended afterwards."""
    model = random_model(config)
    decoder, eager = both_backends(model, len(lengths))
    slots = list(range(len(lengths)))[::-1]
    prompts = [[(7 * n + 3) % config.vocab_size for n in range(length)] for length in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "PREFILL_CHUNK_TOKENS", chunk_tokens)
        decoder.prefill(slots, prompts)
        decoder.prefill([0], [[1] * more], start=len(prompts[-1]))
    with torch.inference_mode():
        if any(prompts):
            eager.prefill(slots, prompts, 0)
        eager.prefill([0], [[1] * more], len(prompts[-1]))
    filled = [*lengths[:-1], lengths[-1] + more]
    for slot, length in zip(slots, filled, strict=True):
        for actual, expected in (
            (decoder.cache.k_LBKSD, eager._cache.k_LBKSD),
            (decoder.cache.v_LBKSD, eager._cache.v_LBKSD),
        ):
            torch.testing.assert_close(
                actual[:, slot, :, :length], expected[:, slot, :, :length], atol=1e-4, rtol=1e-4
            )


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
def test_logits_do_not_depend_on_the_batch_in_any_bit(
    threads: int, tiny_model: ModelConfig, random_model: MakeModel
) -> None:
    model, before = random_model(tiny_model), torch.get_num_threads()
    prompts = torch.randint(
        tiny_model.vocab_size, (23, 6), generator=torch.Generator().manual_seed(1)
    )
    together, alone = Decoder(model, 23), Decoder(model, 23)
    torch.set_num_threads(threads)
    try:
        for slot in range(23):
            alone.prefill([slot], [[3, 1, slot]])
        together.prefill(list(range(23)), [[3, 1, slot] for slot in range(23)])
        for position in range(3, 9):
            ids = [int(row[position - 3]) for row in prompts]
            all_BV = together.decode(list(range(23)), ids, [position] * 23)
            for slot in range(23):
                alone_V = alone.decode([slot], [ids[slot]], [position])[0]
                assert torch.equal(alone_V, all_BV[slot])
    finally:
        torch.set_num_threads(before)


def test_without_a_compiler_the_backend_is_pytorch(
    tiny_model: ModelConfig, random_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "find_compiler", lambda: None)
    monkeypatch.setattr(build, "_library", build._library.__wrapped__)
    assert isinstance(Decoder(random_model(tiny_model), 1)._backend, EagerBackend)


@pytest.mark.parametrize(
    ("behaviour", "reason"), [("exit 3", "exits with 3"), ("exec sleep 60", "took longer than 1 s")]
)
def test_a_failing_compiler_gives_a_warning_and_pytorch(
    behaviour: str,
    reason: str,
    tiny_model: ModelConfig,
    random_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "c++"
    broken.write_text(f"#!/bin/sh\n{behaviour}\n", encoding="utf-8")
    monkeypatch.setattr(build, "COMPILE_TIMEOUT_SECONDS", 1.0)
    broken.chmod(0o755)
    monkeypatch.setenv("FIRSTWORDS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hardware, "find_compiler", lambda: str(broken))
    monkeypatch.setattr(build, "_library", build._library.__wrapped__)
    assert isinstance(Decoder(random_model(tiny_model), 1)._backend, EagerBackend)
    warning = capsys.readouterr().err
    assert "compiling the decoder failed" in warning
    assert reason in warning
    assert not list((tmp_path / "home").rglob("decode-*"))


@pytest.mark.slow
@needs_compiler
def test_processes_may_compile_at_the_same_time(tmp_path: Path) -> None:
    code = "from firstwords.kernels import build; assert build.decode_library().panel_rows() >= 4"
    environment = {**os.environ, "FIRSTWORDS_HOME": str(tmp_path)}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [process.wait(timeout=LIMIT_SECONDS) for process in processes] == [0, 0, 0]
    assert len(list((tmp_path / "compiled").iterdir())) == 1
