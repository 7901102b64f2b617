"""Estimates compared with actual figures: memory of a process, bytes of a checkpoint."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstwords.data.corpora import open_corpus
from firstwords.model.transformer import Transformer
from firstwords.planning import estimates
from firstwords.planning.autotune import trial_recipe
from firstwords.planning.estimates import (
    BYTES_OF_METRICS_AND_ANSWERS,
    BYTES_PER_STORED_TOKEN,
    CHECKPOINTS_ON_DISK,
    DatasetSize,
    bytes_per_token,
    dataset_size,
    phase_seconds,
)
from firstwords.planning.model_sizes import model_config
from firstwords.recipe import REQUIRED_STAGES, Recipe
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training import checkpoint
from firstwords.training.optimizer import Optimizer

STARTER = DatasetSize("starter", math.inf, math.inf)
PRINT_PEAK_MEMORY = """
import sys
from firstwords.common.devices import configure_torch
from firstwords.common.memory import peak_memory
from firstwords.planning.autotune import tokens_per_second
from firstwords.recipe import Recipe
configure_torch(2)
tokens_per_second(Recipe.model_validate_json(sys.stdin.read()), 0.0)
print(peak_memory())
"""


def recipe_of(shape: tuple[int, int, int], vocab_size: int, micro_batch_size: int = 8) -> Recipe:
    recipe = trial_recipe(2).replace(model=model_config(shape, vocab_size))
    return recipe.replace_stages(micro_batch_size=micro_batch_size)


# --- memory and disk ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory differently")
@pytest.mark.parametrize(
    ("shape", "vocab_size", "micro_batch_size"),
    [((4, 192, 2), 2048, 8), ((4, 192, 2), 4096, 2), ((6, 384, 3), 4096, 8)],
)
def test_estimated_memory_is_the_actual_memory_of_a_process(
    shape: tuple[int, int, int], vocab_size: int, micro_batch_size: int
) -> None:
    recipe = recipe_of(shape, vocab_size, micro_batch_size)
    done = subprocess.run(
        [sys.executable, "-c", PRINT_PEAK_MEMORY],
        input=recipe.model_dump_json(),
        capture_output=True,
        text=True,
        check=True,
    )
    estimate = estimates.PROCESS_BYTES + estimates.training_bytes(recipe)
    assert estimate == pytest.approx(int(done.stdout), rel=0.2)
    assert estimates.memory_bytes(recipe) >= estimate


def test_estimated_disk_space_is_that_of_a_checkpoint(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    recipe = recipe_of((3, 128, 2), 512)
    model = Transformer(recipe.model).init_weights(0)
    optimizer = Optimizer(model, recipe.optimizer, torch.float32)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(0.1)
    checkpoint.save_checkpoint(tmp_path, model, tiny_tokenizer, optimizer.state())
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    tokens = BYTES_PER_STORED_TOKEN * estimates.all_tokens(recipe)
    checkpoints = estimates.disk_bytes(recipe) - BYTES_OF_METRICS_AND_ANSWERS - tokens
    assert checkpoints / CHECKPOINTS_ON_DISK == pytest.approx(size, rel=0.05)


# --- data -----------------------------------------------------------------------------------------


def test_tokens_are_estimated_from_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 500_000)
    (tmp_path / "c.jsonl").write_bytes(b"x" * 50_000)
    text = open_corpus(str(tmp_path / "a.txt"), "--data")
    chat = open_corpus(str(tmp_path / "c.jsonl"), "--chat-data")
    data = dataset_size(text, chat, 4096)
    assert data.kind == "text"
    assert data.text_tokens == pytest.approx(0.98 * 500_000 / bytes_per_token(4096))
    assert data.chat_tokens == pytest.approx(0.98 * 50_000 / bytes_per_token(4096))
    starter = open_corpus("starter", "--data")
    assert dataset_size(starter, starter, 2048) == STARTER


@given(a=st.integers(263, 65_536), b=st.integers(263, 65_536))
def test_a_larger_vocabulary_has_longer_tokens(a: int, b: int) -> None:
    assert bytes_per_token(min(a, b)) <= bytes_per_token(max(a, b))
    assert 1.5 < bytes_per_token(a) < 5


# --- time -----------------------------------------------------------------------------------------


def test_finetuning_steps_save_the_output_head_of_prompts() -> None:
    """15,242 tokens/s instead of 13,700 were measured for this shape (docs/lab-notebook.md)."""
    model = model_config((4, 192, 2), 2048)
    assert 1 / estimates.step_cost("sft", model) == pytest.approx(15_242 / 13_700, rel=0.02)
    assert estimates.step_cost("pretrain", model) == estimates.step_cost("midtrain", model) == 1
    large_vocabulary = model_config((4, 192, 2), 8192)
    assert estimates.step_cost("sft", large_vocabulary) < estimates.step_cost("sft", model)


def test_the_exam_takes_time_only_with_the_starter_conversations() -> None:
    recipe = recipe_of((4, 192, 2), 2048)
    with_exam = phase_seconds(recipe, 5000.0, STARTER)["evaluation"]
    without = phase_seconds(recipe, 5000.0, DatasetSize("text", 1e9, 1e9))["evaluation"]
    assert with_exam > without > 0


def test_a_slower_machine_takes_longer_in_every_training_phase() -> None:
    recipe = recipe_of((4, 192, 2), 2048)
    fast, slow = (phase_seconds(recipe, speed, STARTER) for speed in (5000.0, 1000.0))
    assert all(slow[phase] > fast[phase] for phase in (*REQUIRED_STAGES, "evaluation"))


# --- model ----------------------------------------------------------------------------------------


def test_parameters_by_part_are_those_of_the_model() -> None:
    config = model_config((3, 128, 2), 512)
    sums = {"embedding": 0, "attention": 0, "mlp": 0, "output head": 0, "norms": 0}
    for name, parameter in Transformer(config).named_parameters():
        part = {"embed": "embedding", "lm_he": "output head"}.get(name[:5])
        if part is None:
            part = "norms" if "norm" in name else "mlp" if ".mlp." in name else "attention"
        sums[part] += parameter.numel()
    counted = estimates.parameters(config)
    assert {part: counted[part] for part in sums} == sums
    assert json.dumps(counted)
