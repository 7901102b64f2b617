"""Recipes by depth, and what they would take on GPUs that are not here."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords import forecast, rented, sizing
from firstwords.cli import run_command
from firstwords.data import catalogue
from firstwords.errors import UserError
from firstwords.model import matmul_parameters
from firstwords.options import RECIPES
from firstwords.recipe import STAGES, OptimizerConfig, Recipe, parse, read_document
from firstwords.sizing import Sketch, Worker

NAMES = sorted(path.stem for path in RECIPES.glob("*.toml"))


def sketch(name: str) -> Sketch:
    path = RECIPES / f"{name}.toml"
    return parse(Sketch, read_document(path), path)


def worker(memory: float = 72e9, count: int = 8) -> Worker:
    return Worker("cuda", 8, "bfloat16", True, memory, count)


def test_four_sizes_come_along() -> None:
    assert NAMES == ["laptop", "large", "speedrun", "workstation"]


@pytest.mark.parametrize("name", NAMES)
def test_each_fits_what_it_is_meant_for_and_reads_corpora_that_exist(name: str) -> None:
    wanted = sketch(name)
    for source in (wanted.data, wanted.chat_data):
        if source.startswith("hub:"):
            catalogue.entry(source.removeprefix("hub:"))
    if wanted.gpus:
        planned = rented.plan(wanted, rented.parse_gpus(wanted.gpus), None)
        Recipe.model_validate(planned["recipe"])


def test_depth_20_is_the_class_of_561_million_parameters() -> None:
    recipe = sizing.filled_in(sketch("speedrun"), worker())
    assert forecast.parameters(recipe.model)["all"] == pytest.approx(561e6, rel=0.02)
    assert (recipe.model.n_embd, recipe.model.n_head, recipe.model.head_dim) == (1280, 10, 128)
    assert recipe.base.batch_tokens == 524_288
    assert recipe.base.tokens == pytest.approx(20 * matmul_parameters(recipe.model), rel=1e-3)
    assert recipe.optimizer.matrix_lr == pytest.approx(0.02, rel=0.02)


def test_a_small_batch_and_width_get_the_rates_that_were_tuned() -> None:
    assert sizing.scaled_rates(192, 2048) == OptimizerConfig()


@given(
    st.integers(1, 40),
    st.sampled_from([256, 1024, 2048]),
    st.floats(1, 40),
    st.integers(1, 64),
    st.floats(5e9, 2e11),
)
def test_every_depth_gives_a_recipe_whose_parts_fit_into_memory(
    depth: int, seq_len: int, tokens: float, count: int, memory: float
) -> None:
    wanted = Sketch(
        about="",
        depth=depth,
        vocab_size=4096,
        seq_len=seq_len,
        tokens_per_parameter=tokens,
        mid_share=0.1,
        sft_share=0.1,
    )
    recipe = sizing.filled_in(wanted, worker(memory, count))
    Recipe.model_validate(recipe.model_dump())
    stage = recipe.base
    assert stage.batch_rows >= count
    assert math.log2(stage.batch_rows).is_integer()
    assert stage.micro_rows == 1 or forecast.memory_bytes(recipe, count) <= memory
    if recipe.shard == "weights":
        whole = recipe.model_copy(update={"shard": "optimizer"})
        assert forecast.memory_bytes(sizing.with_micro_rows(whole, 1), count) > memory
        assert stage.batch_rows % count == 0
    assert stage.micro_rows * count <= stage.batch_rows
    assert len({recipe.stage(name).micro_rows for name in STAGES}) == 1


def test_a_model_that_no_gpu_holds_is_cut_up_among_several() -> None:
    large = sketch("large").model_copy(update={"depth": 48})
    one, sixteen = (sizing.filled_in(large, worker(72e9, processes)) for processes in (1, 16))
    assert (one.shard, sixteen.shard) == ("optimizer", "weights")
    assert forecast.memory_bytes(one) > 72e9 > forecast.memory_bytes(sixteen, 16)
    assert sizing.filled_in(sketch("large"), worker(72e9, 16)).shard == "optimizer"


def test_more_gpus_take_less_time_for_the_same_work() -> None:
    one, eight, many = (
        rented.plan(sketch("speedrun"), rented.parse_gpus(text), None)["predicted"]
        for text in ("H100", "8xh100", "64xH100")
    )
    training = [sum(p["phase_seconds"][stage] for stage in STAGES) for p in (one, eight, many)]
    assert training[0] == pytest.approx(8 * training[1], rel=0.01)
    assert training[1] > 7 * training[2]
    assert one["flops"] == eight["flops"]


def test_the_plan_for_eight_gpus_says_time_cost_memory_and_files(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["plan", "--recipe", "speedrun", "--gpus", "8xH100", "--price", "3"]
    assert run_command(command) == 0
    text = capsys.readouterr().out
    for word in ("time ", "cost ", "memory ", "disk ", "firstwords data fetch climbmix --shards"):
        assert word in text
    assert run_command([*command, "--json"]) == 0
    predicted = json.loads(capsys.readouterr().out)["predicted"]
    assert predicted["dollars"]["at the price given"][0] == pytest.approx(
        3 * predicted["gpu_hours"]
    )
    assert predicted["memory_bytes"] < 80e9
    shards = predicted["data"]["shards"]
    assert 100 < shards < 300  # nanochat's run of that size takes 240


def test_what_is_changed_counts(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["plan", "--recipe", "speedrun", "--gpus", "8xH100", "--json", "--set"]
    assert run_command([*command, "base.steps=100"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["recipe"]["base"]["steps"] == 100
    assert planned["predicted"]["data"]["shards"] < 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gpus", "8xK80", "--recipe", "speedrun"], "known are A100, H100"),
        (["--gpus", "0xH100", "--recipe", "speedrun"], "write it like 8xH100"),
        (["--gpus", "8xH100"], "needs a recipe by depth"),
        (["--price", "3"], "add --gpus"),
        (["--recipe", "sprint"], "laptop, large, speedrun, workstation"),
        (["--gpus", "1xRTX4090", "--recipe", "large"], "GPUs with more memory"),
    ],
)
def test_what_cannot_be_planned_is_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["plan", *arguments]) == 2
    assert said.split(", ")[0] in capsys.readouterr().err


def test_a_sketch_with_a_mistake_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('about = "mine"\ndepth = 0\nvocab_size = 512\nseq_len = 64\n')
    with pytest.raises(UserError, match="depth"):
        parse(Sketch, read_document(path), path)
