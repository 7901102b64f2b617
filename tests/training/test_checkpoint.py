"""Checkpoints: other tools read them, damage is seen, the one before it is used."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_metrics_line
from hypothesis import example, given
from hypothesis import strategies as st
from power_cuts import FATES, LOST, SimulatedDisk
from transformers import AutoModelForCausalLM, AutoTokenizer

from firstwords.common.errors import DamagedFile
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig, OptimizerConfig
from firstwords.runs import checkpoints
from firstwords.runs.metrics import read_metrics, truncate_metrics
from firstwords.tokenizer.bpe import SPECIAL_TOKENS, Tokenizer
from firstwords.tokenizer.chat_format import (
    Messages,
    encode_conversations,
    encode_prompt,
    split_spans,
)
from firstwords.training import checkpoint
from firstwords.training.gradient_sync import GradientSync
from firstwords.training.optimizer import Optimizer

MakeModel = Callable[..., Transformer]
NO_MARKUP = st.text(max_size=40).filter(lambda text: not any(s in text for s in SPECIAL_TOKENS))
SPOKEN = st.one_of(
    NO_MARKUP, st.sampled_from([" \n hi \n\n", "\x1c a \x85", "\u3000漢字\u200b", ""])
)
TOOL_BLOCK = st.tuples(NO_MARKUP, NO_MARKUP).map(
    lambda pair: f"<tool_call>{pair[0]}</tool_call><tool_response>{pair[1]}</tool_response>"
)
ANSWER = st.lists(st.one_of(SPOKEN, TOOL_BLOCK), max_size=4).map("".join)


def no_warning(text: str) -> None:
    raise AssertionError(text)


def train_a_little(model: Transformer, steps: int) -> Optimizer:
    optimizer = Optimizer(model, OptimizerConfig(), torch.float32)
    for step in range(steps):
        ids_BT = torch.randint(
            model.config.vocab_size, (2, 12), generator=torch.Generator().manual_seed(step)
        )
        model.loss(ids_BT, ids_BT.roll(-1, 1)).backward()
        optimizer.step(1.0)
    return optimizer


@pytest.fixture(scope="session")
def opened(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_tokenizer: Tokenizer,
    tiny_model: ModelConfig,
    random_model: MakeModel,
) -> Any:
    """What transformers makes of the tokenizer in a checkpoint of ours."""
    directory = tmp_path_factory.mktemp("checkpoint")
    hf_format.write_model(directory, random_model(tiny_model), tiny_tokenizer)
    return AutoTokenizer.from_pretrained(directory)


@pytest.fixture
def two(
    tmp_path: Path, tiny_tokenizer: Tokenizer, tiny_model: ModelConfig
) -> tuple[Path, Path, Path]:
    """The directory of two checkpoints, the older one, the newer one."""
    model = Transformer(tiny_model).init_weights(0)
    for steps in (1, 2):
        checkpoint.save_checkpoint(
            tmp_path / "ck", model, tiny_tokenizer, train_a_little(model, steps).state()
        )
    return tmp_path / "ck", tmp_path / "ck" / "0000001", tmp_path / "ck" / "0000002"


# --- other tools ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_kv_head", [4, 2, 1])
@torch.inference_mode()
def test_transformers_computes_the_same_logits(
    n_kv_head: int,
    tiny_tokenizer: Tokenizer,
    tiny_model: ModelConfig,
    random_model: MakeModel,
    tmp_path: Path,
) -> None:
    config = tiny_model.replace(n_kv_head=n_kv_head)
    ours = random_model(config, seed=n_kv_head)
    hf_format.write_model(tmp_path, ours, tiny_tokenizer)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids_BT = torch.randint(config.vocab_size, (2, config.max_seq_len))
    difference = (theirs(ids_BT).logits - ours(ids_BT)).abs().max().item()
    assert difference < 1e-4
    assert ours(ids_BT).abs().max() > 1, "the weights say something"
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())


@given(text=NO_MARKUP)
@example("\r\n\x00 don't\u2028漢字😀 12345  \t ")
def test_transformers_gives_any_text_the_same_ids(
    tiny_tokenizer: Tokenizer, opened: Any, text: str
) -> None:
    ids = tiny_tokenizer.encode(text)
    assert opened(text)["input_ids"] == ids
    assert opened.decode(ids) == text


CONVERSATIONS = (
    st.tuples(st.booleans(), SPOKEN, st.lists(st.tuples(SPOKEN, ANSWER), min_size=1, max_size=3))
).map(
    lambda drawn: [
        *([{"role": "system", "content": drawn[1]}] if drawn[0] else []),
        *(
            {"role": role, "content": content}
            for pair in drawn[2]
            for role, content in zip(("user", "assistant"), pair, strict=True)
        ),
    ]
)


@given(messages=CONVERSATIONS)
def test_the_chat_template_writes_conversations_as_we_do(
    tiny_tokenizer: Tokenizer, opened: Any, messages: Messages
) -> None:
    assert opened.apply_chat_template(messages, tokenize=False) == "".join(
        span.text for span in split_spans(messages)
    )
    (encoded,) = encode_conversations(tiny_tokenizer, [messages])
    theirs = opened.apply_chat_template(messages, return_dict=True)["input_ids"]
    assert theirs == encoded.ids.tolist()


@given(messages=CONVERSATIONS)
def test_the_chat_template_writes_prompts_as_we_do(
    tiny_tokenizer: Tokenizer, opened: Any, messages: Messages
) -> None:
    theirs = opened.apply_chat_template(
        messages[:-1], add_generation_prompt=True, return_dict=True
    )["input_ids"]
    assert theirs == encode_prompt(tiny_tokenizer, messages[:-1])


def test_transformers_knows_where_an_answer_ends(
    tiny_tokenizer: Tokenizer, opened: Any, two: tuple[Path, Path, Path]
) -> None:
    end = tiny_tokenizer.special("<|im_end|>")
    assert opened.eos_token_id == end
    generation = json.loads((two[2] / "generation_config.json").read_text())
    assert end in generation["eos_token_id"]
    assert set(opened.all_special_ids) == set(tiny_tokenizer.special_ids)


# --- the files ------------------------------------------------------------------------------------


def test_a_checkpoint_is_safetensors_and_text(two: tuple[Path, Path, Path]) -> None:
    files = sorted(two[2].iterdir())
    assert {file.suffix for file in files} == {".safetensors", ".json", ".jinja"}
    for file in files:
        raw = file.read_bytes()
        if file.suffix == ".safetensors":  # a length, then a JSON header
            header = raw[8 : 8 + int.from_bytes(raw[:8], "little")]
            assert json.loads(header)["__metadata__"] == {"format": "pt"}
        elif file.suffix == ".json":
            json.loads(raw)


def test_the_background_writer_writes_the_state_at_the_time_of_saving(
    tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel, tmp_path: Path
) -> None:
    model = random_model(tiny_model)
    optimizer = train_a_little(model, 3)
    checkpoint.save_checkpoint(tmp_path / "at once", model, tiny_tokenizer, optimizer.state())
    with (
        (tmp_path / "metrics").open("w") as metrics,
        checkpoint.CheckpointWriter(tmp_path / "beside", tiny_tokenizer, metrics) as writer,
    ):
        snapshot = GradientSync(model).snapshot()
        assert snapshot is not None
        writer.save(snapshot, optimizer.state())
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1)
            for tensor in optimizer.state().values():
                tensor.add_(1)
    for name in ("model.safetensors", "optimizer.safetensors", "checksums.json"):
        at_once, beside = (tmp_path / way / "0000003" / name for way in ("at once", "beside"))
        assert beside.read_bytes() == at_once.read_bytes()


def test_an_error_of_the_background_writer_is_raised(
    tiny_tokenizer: Tokenizer,
    tiny_model: ModelConfig,
    random_model: MakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_checkpoint", full)
    model = random_model(tiny_model)
    state = train_a_little(model, 1).state()
    with (
        pytest.raises(OSError, match="No space left"),
        (tmp_path / "metrics").open("w") as metrics,
        checkpoint.CheckpointWriter(tmp_path, tiny_tokenizer, metrics) as writer,
    ):
        writer.save(model, state)
    with (tmp_path / "metrics").open("w") as metrics:
        writer = checkpoint.CheckpointWriter(tmp_path, tiny_tokenizer, metrics)
        writer.save(model, state)
    writer.__exit__(ValueError, ValueError("training failed"), None)  # which is raised instead


def test_after_a_power_cut_checkpoints_have_the_metrics_before_them(
    tiny_tokenizer: Tokenizer,
    tiny_model: ModelConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, rng, flushed = Transformer(tiny_model).init_weights(0), random.Random(0), [0]
    root, survivors = tmp_path / "disk", tmp_path / "survivors"
    root.mkdir()
    disk = SimulatedDisk(root)

    def newest_step(fate: Callable[[], str]) -> int:
        disk.survivors(survivors, fate)
        found = checkpoints.newest_checkpoint(survivors / "checkpoints", no_warning)
        newest = found.step if found else 0
        if newest:
            steps = [line["step"] for line in read_metrics(survivors / "metrics.jsonl")]
            assert steps[:newest] == list(range(1, newest + 1))
        shutil.rmtree(survivors)
        return newest

    def cut() -> None:
        newest_step(lambda: rng.choice(FATES))
        flushed.append(newest_step(lambda: LOST))
        assert flushed == sorted(flushed), "a checkpoint that was on the disk is gone"

    disk.on_sync = cut
    monkeypatch.setattr(os, "fsync", disk.fsync)
    truncate_metrics(root / "metrics.jsonl", 0)
    with (
        (root / "metrics.jsonl").open("a") as metrics,
        checkpoint.CheckpointWriter(root / "checkpoints", tiny_tokenizer, metrics) as writer,
    ):
        for step in range(1, 5):
            print(make_metrics_line(step), file=metrics, flush=True)
            writer.save(model, {"steps": torch.tensor(step)})
    assert newest_step(lambda: LOST) == 4
    disk.close()


def test_a_loaded_checkpoint_is_what_was_saved(
    tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, random_model: MakeModel, tmp_path: Path
) -> None:
    model = random_model(tiny_model)
    optimizer = train_a_little(model, 3)
    checkpoint.save_checkpoint(tmp_path, model, tiny_tokenizer, optimizer.state())
    found = checkpoints.newest_checkpoint(tmp_path, no_warning)
    assert found == (tmp_path / "0000003", 3)
    loaded = hf_format.load_model(found.directory)
    assert loaded.config == tiny_model
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    other = Optimizer(loaded, OptimizerConfig(), torch.float32)
    checkpoint.load_optimizer(other, found.directory)
    assert other.steps == 3
    saved, state = optimizer.state(), other.state()
    assert saved.keys() == state.keys()
    assert all(torch.equal(saved[key], state[key]) for key in saved)
    read = Tokenizer.load(found.directory / "tokenizer.json")
    assert read.encode("The fox") == tiny_tokenizer.encode("The fox")


def test_saving_the_same_state_gives_the_same_bytes(
    tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        model = Transformer(tiny_model).init_weights(0)
        checkpoint.save_checkpoint(
            tmp_path / name, model, tiny_tokenizer, train_a_little(model, 2).state()
        )
    for file in (tmp_path / "a" / "0000002").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "0000002" / file.name).read_bytes(), file


def test_only_the_newest_checkpoints_are_kept(
    tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, tmp_path: Path
) -> None:
    model = Transformer(tiny_model).init_weights(0)
    for steps in range(1, 5):
        checkpoint.save_checkpoint(
            tmp_path, model, tiny_tokenizer, train_a_little(model, steps).state()
        )
    assert checkpoints.KEEP >= 2, "there must be one before a damaged one"
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [f"{step:07d}" for step in range(5 - checkpoints.KEEP, 5)]


def test_a_save_that_fails_leaves_what_was_there(
    two: tuple[Path, Path, Path],
    tiny_tokenizer: Tokenizer,
    tiny_model: ModelConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hf_format, "hf_config", full)
    model = Transformer(tiny_model).init_weights(0)
    optimizer = train_a_little(model, 3)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save_checkpoint(two[0], model, tiny_tokenizer, optimizer.state())
    assert sorted(two[0].iterdir()) == [two[1], two[2]]
    assert checkpoints.newest_checkpoint(two[0], no_warning) == (two[2], 2)


# --- damage ---------------------------------------------------------------------------------------


def test_an_undamaged_checkpoint_is_verified(two: tuple[Path, Path, Path]) -> None:
    for directory in two[1:]:
        checkpoints.verify_checkpoint(directory)
    assert checkpoints.newest_checkpoint(two[0], no_warning) == (two[2], 2)


def test_any_flipped_byte_is_seen(two: tuple[Path, Path, Path]) -> None:
    for file in two[2].iterdir():
        raw = file.read_bytes()
        step = 3 if file.name == "checksums.json" else max(1, len(raw) // 20)
        for place in {*range(0, len(raw), step), len(raw) - 1}:
            for bit in (0x01, 0x80):
                file.write_bytes(raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :])
                with pytest.raises(DamagedFile):
                    checkpoints.verify_checkpoint(two[2])
        file.write_bytes(raw)
    checkpoints.verify_checkpoint(two[2])


@pytest.mark.parametrize("keep", [0, 1, 0.5, -2])
def test_any_truncated_file_is_seen(keep: float, two: tuple[Path, Path, Path]) -> None:
    for file in two[2].iterdir():
        raw = file.read_bytes()
        file.write_bytes(raw[: int(len(raw) * keep) if keep == 0.5 else int(keep)])
        with pytest.raises(DamagedFile):
            checkpoints.verify_checkpoint(two[2])
        file.write_bytes(raw)


def test_any_missing_file_is_seen_and_named(two: tuple[Path, Path, Path]) -> None:
    for file in two[2].iterdir():
        raw = file.read_bytes()
        file.unlink()
        with pytest.raises(DamagedFile, match=file.name):
            checkpoints.verify_checkpoint(two[2])
        file.write_bytes(raw)


def test_the_checkpoint_before_a_damaged_one_is_used_and_said_so(
    two: tuple[Path, Path, Path],
) -> None:
    weights = two[2] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    said: list[str] = []
    assert checkpoints.newest_checkpoint(two[0], said.append) == (two[1], 1)
    assert len(said) == 1
    assert str(two[2]) in said[0]
    assert "model.safetensors" in said[0]


def test_without_an_undamaged_checkpoint_there_is_none(two: tuple[Path, Path, Path]) -> None:
    for directory in two[1:]:
        (directory / "config.json").write_text("{}")
    said: list[str] = []
    assert checkpoints.newest_checkpoint(two[0], said.append) is None
    assert len(said) == 2


def test_an_unfinished_save_is_no_checkpoint(two: tuple[Path, Path, Path]) -> None:
    (two[0] / ".tmp-0000003").mkdir()
    assert checkpoints.newest_checkpoint(two[0], no_warning) == (two[2], 2)


def test_a_directory_without_checkpoints_has_no_newest(tmp_path: Path) -> None:
    assert checkpoints.newest_checkpoint(tmp_path / "absent", no_warning) is None


def test_what_is_newer_than_a_step_is_removed(two: tuple[Path, Path, Path]) -> None:
    checkpoints.remove_checkpoints_after(two[0], 1)
    assert sorted(two[0].iterdir()) == [two[1]]
