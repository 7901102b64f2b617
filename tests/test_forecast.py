"""Forecasts held against what really happens: memory of a process, bytes of a checkpoint."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstwords import checkpoint, forecast
from firstwords.data.corpora import open_corpus
from firstwords.forecast import CHECKPOINTS, Data, bytes_per_token, data_of, phase_seconds
from firstwords.measure import trial
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer
from firstwords.recipe import STAGES, Recipe, model_config
from firstwords.tokenizer import Tokenizer

STARTER = Data("starter", math.inf, math.inf)
PROGRAM = """
import sys
from firstwords import machine, measure
from firstwords.recipe import Recipe
machine.setup(2)
measure.tokens_per_second(Recipe.model_validate_json(sys.stdin.read()), 0.0)
print(machine.peak_memory())
"""


def recipe_of(shape: tuple[int, int, int], vocab_size: int, micro_rows: int = 8) -> Recipe:
    stage = trial(2).base.model_copy(update={"micro_rows": micro_rows})
    return trial(2).model_copy(
        update={"model": model_config(shape, vocab_size), **dict.fromkeys(STAGES, stage)}
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted differently")
@pytest.mark.parametrize(
    ("shape", "vocab_size", "micro_rows"),
    [((4, 192, 2), 2048, 8), ((4, 192, 2), 4096, 2), ((6, 384, 3), 4096, 8)],
)
def test_memory_is_what_a_process_takes(
    shape: tuple[int, int, int], vocab_size: int, micro_rows: int
) -> None:
    recipe = recipe_of(shape, vocab_size, micro_rows)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=recipe.model_dump_json(),
        capture_output=True,
        text=True,
        check=True,
    )
    foretold = forecast.PROGRAM + forecast.training_bytes(recipe)
    assert foretold == pytest.approx(int(done.stdout), rel=0.2)
    assert forecast.memory_bytes(recipe) >= foretold


def test_a_checkpoint_takes_the_disk_that_was_foretold(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    recipe = recipe_of((3, 128, 2), 512)
    model = Transformer(recipe.model).init_weights(0)
    optimizer = Optimizer(model, recipe.optimizer, torch.float32)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step(0.1)
    checkpoint.save(tmp_path, model, tiny_tokenizer, optimizer.state())
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    of_tokens = forecast.OF_STORED_TOKEN * forecast.all_tokens(recipe)
    foretold = (forecast.disk_bytes(recipe) - 5e6 - of_tokens) / CHECKPOINTS
    assert foretold == pytest.approx(size, rel=0.05)


def test_text_is_counted_in_tokens(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 500_000)
    (tmp_path / "c.jsonl").write_bytes(b"x" * 50_000)
    text = open_corpus(str(tmp_path / "a.txt"), "--data")
    chat = open_corpus(str(tmp_path / "c.jsonl"), "--chat-data")
    data = data_of(text, chat, 4096)
    assert data.kind == "text"
    assert data.text_tokens == pytest.approx(0.98 * 500_000 / bytes_per_token(4096))
    assert data.chat_tokens == pytest.approx(0.98 * 50_000 / bytes_per_token(4096))
    starter = open_corpus("starter", "--data")
    assert data_of(starter, starter, 2048) == STARTER


@given(a=st.integers(263, 65_536), b=st.integers(263, 65_536))
def test_a_larger_vocabulary_has_longer_tokens(a: int, b: int) -> None:
    assert bytes_per_token(min(a, b)) <= bytes_per_token(max(a, b))
    assert 1.5 < bytes_per_token(a) < 5


def test_finetuning_is_quicker_by_the_heads_work_on_what_others_wrote() -> None:
    """15,242 tokens/s against 13,700 were measured for this shape (docs/lab-notebook.md)."""
    model = model_config((4, 192, 2), 2048)
    assert 1 / forecast.work_of("sft", model) == pytest.approx(15_242 / 13_700, rel=0.02)
    assert forecast.work_of("base", model) == forecast.work_of("mid", model) == 1
    wide = model_config((4, 192, 2), 8192)
    assert forecast.work_of("sft", wide) < forecast.work_of("sft", model)


def test_the_exam_takes_time_where_it_is_taken() -> None:
    recipe = recipe_of((4, 192, 2), 2048)
    with_exam = phase_seconds(recipe, 5000.0, STARTER)["evaluation"]
    without = phase_seconds(recipe, 5000.0, Data("text", 1e9, 1e9))["evaluation"]
    assert with_exam > without > 0


def test_a_slower_machine_takes_longer_in_every_training_phase() -> None:
    recipe = recipe_of((4, 192, 2), 2048)
    fast, slow = (phase_seconds(recipe, speed, STARTER) for speed in (5000.0, 1000.0))
    assert all(slow[phase] > fast[phase] for phase in (*STAGES, "evaluation"))


def test_the_parameters_by_part_are_those_of_the_model() -> None:
    config = model_config((3, 128, 2), 512)
    model = Transformer(config)
    sums = {"embedding": 0, "attention": 0, "mlp": 0, "output head": 0, "norms": 0}
    for name, parameter in model.named_parameters():
        part = {"embed": "embedding", "lm_he": "output head"}.get(name[:5])
        if part is None:
            part = "norms" if "norm" in name else "mlp" if ".mlp." in name else "attention"
        sums[part] += parameter.numel()
    counted = forecast.parameters(config)
    assert {part: counted[part] for part in sums} == sums
    assert json.dumps(counted)
