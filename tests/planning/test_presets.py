"""Recipes by depth."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common.errors import UserError
from firstwords.common.schema import parse, read_document
from firstwords.data.hub.catalogue import find_entry
from firstwords.model.size import matmul_parameters
from firstwords.planning import estimates
from firstwords.planning.presets import (
    DepthPreset,
    WorkerSpec,
    recipe_from_preset,
    scaled_learning_rates,
)
from firstwords.planning.recipes import named_recipes
from firstwords.recipe import REQUIRED_STAGES, OptimizerConfig, Recipe


def preset(name: str) -> DepthPreset:
    path = named_recipes()[name]
    return parse(DepthPreset, read_document(path), path)


def worker(memory: float = 72e9, processes: int = 8) -> WorkerSpec:
    return WorkerSpec("cuda", 8, "bfloat16", True, memory, processes)


def test_four_presets_come_with_the_package() -> None:
    assert list(named_recipes()) == ["laptop", "large", "speedrun", "workstation"]


@pytest.mark.parametrize("name", named_recipes())
def test_the_corpora_of_a_preset_are_in_the_catalogue(name: str) -> None:
    for source in (preset(name).data, preset(name).chat_data):
        if source.startswith("hub:"):
            find_entry(source.removeprefix("hub:"))


def test_depth_20_has_561_million_parameters() -> None:
    recipe = recipe_from_preset(preset("speedrun"), worker())
    assert estimates.parameters(recipe.model)["all"] == pytest.approx(561e6, rel=0.02)
    assert (recipe.model.n_embd, recipe.model.n_head, recipe.model.head_dim) == (1280, 10, 128)
    assert recipe.pretrain.batch_tokens == 524_288
    assert recipe.pretrain.tokens == pytest.approx(20 * matmul_parameters(recipe.model), rel=1e-3)
    assert recipe.optimizer.matrix_lr == pytest.approx(0.02, rel=0.02)


def test_the_tuned_batch_and_width_have_the_tuned_learning_rates() -> None:
    assert scaled_learning_rates(192, 2048) == OptimizerConfig()


@given(
    st.integers(1, 40),
    st.sampled_from([256, 1024, 2048]),
    st.floats(1, 40),
    st.integers(1, 64),
    st.floats(5e9, 2e11),
)
def test_every_depth_gives_a_valid_recipe(
    depth: int, seq_len: int, tokens_per_parameter: float, processes: int, memory: float
) -> None:
    custom = DepthPreset(
        description="",
        depth=depth,
        vocab_size=4096,
        seq_len=seq_len,
        tokens_per_parameter=tokens_per_parameter,
        midtrain_fraction=0.1,
        sft_fraction=0.1,
    )
    recipe = recipe_from_preset(custom, worker(memory, processes))
    Recipe.model_validate(recipe.model_dump())
    stage = recipe.pretrain
    assert stage.batch_size >= processes
    assert math.log2(stage.batch_size).is_integer()
    assert stage.micro_batch_size == 1 or estimates.memory_bytes(recipe, processes) <= memory
    if recipe.shard == "weights":
        unsharded = recipe.replace(shard="optimizer").replace_stages(micro_batch_size=1)
        assert estimates.memory_bytes(unsharded, processes) > memory
        assert stage.batch_size % processes == 0
    assert stage.micro_batch_size * processes <= stage.batch_size
    assert len({recipe.stage(name).micro_batch_size for name in REQUIRED_STAGES}) == 1


def test_weights_are_sharded_only_if_no_gpu_holds_the_model() -> None:
    deeper = preset("large").replace(depth=48)
    one, sixteen = (recipe_from_preset(deeper, worker(72e9, processes)) for processes in (1, 16))
    assert (one.shard, sixteen.shard) == ("optimizer", "weights")
    assert estimates.memory_bytes(one) > 72e9 > estimates.memory_bytes(sixteen, 16)
    assert recipe_from_preset(preset("large"), worker(72e9, 16)).shard == "optimizer"


def test_an_invalid_preset_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "mine"\ndepth = 0\nvocab_size = 512\nseq_len = 64\n')
    with pytest.raises(UserError, match="depth"):
        parse(DepthPreset, read_document(path), path)
