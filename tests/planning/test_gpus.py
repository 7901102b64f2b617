"""Estimates for GPUs of another machine: `firstwords plan --estimate-for`."""

import json

import pytest

from firstwords.cli.main import run_command
from firstwords.common.schema import parse, read_document
from firstwords.planning import gpus
from firstwords.planning.gpu_plan import estimate_for_gpus
from firstwords.planning.gpus import parse_gpus
from firstwords.planning.presets import DepthPreset
from firstwords.planning.recipes import named_recipes
from firstwords.recipe import REQUIRED_STAGES, Recipe

SPEEDRUN = ["plan", "--recipe", "speedrun", "--estimate-for", "8xH100"]


def preset(name: str) -> DepthPreset:
    path = named_recipes()[name]
    return parse(DepthPreset, read_document(path), path)


def test_the_reference_node_is_eight_h100() -> None:
    assert str(gpus.REFERENCE_NODE) == "8xH100"
    assert pytest.approx(8 * 989e12 * 0.4) == gpus.REFERENCE_NODE_FLOPS_PER_SECOND
    assert gpus.REFERENCE_DOLLARS_PER_GPU_HOUR == 3.0


@pytest.mark.parametrize("name", [name for name in named_recipes() if preset(name).gpus])
def test_a_preset_fits_the_gpus_that_it_is_meant_for(name: str) -> None:
    plan = estimate_for_gpus(preset(name), parse_gpus(preset(name).gpus or ""), None)
    Recipe.model_validate(plan["recipe"])


def test_more_gpus_take_less_time_for_the_same_work() -> None:
    one, eight, many = (
        estimate_for_gpus(preset("speedrun"), parse_gpus(text), None)["predicted"]
        for text in ("H100", "8xh100", "64xH100")
    )
    training = [
        sum(p["phase_seconds"][stage] for stage in REQUIRED_STAGES) for p in (one, eight, many)
    ]
    assert training[0] == pytest.approx(8 * training[1], rel=0.01)
    assert training[1] > 7 * training[2]
    assert one["flops"] == eight["flops"]


def test_the_plan_for_eight_gpus_has_time_cost_memory_and_files(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [*SPEEDRUN, "--price", "3"]
    assert run_command(command) == 0
    text = capsys.readouterr().out
    for word in ("time ", "cost ", "memory ", "disk ", "firstwords data fetch climbmix --shards"):
        assert word in text
    assert run_command([*command, "--json"]) == 0
    predicted = json.loads(capsys.readouterr().out)["predicted"]
    assert predicted["dollars"]["at your price"][0] == pytest.approx(3 * predicted["gpu_hours"])
    assert predicted["memory_bytes"] < 80e9
    shards = predicted["data"]["shards"]
    assert 100 < shards < 300  # nanochat's run of that size uses 240


def test_overrides_change_the_estimates(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*SPEEDRUN, "--json", "--set", "pretrain.steps=100"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["recipe"]["pretrain"]["steps"] == 100
    assert plan["predicted"]["data"]["shards"] < 4


def test_gpus_without_a_known_price_ask_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["plan", "--recipe", "workstation", "--estimate-for", "RTX4090"]) == 0
    assert "give --price" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--estimate-for", "8xK80", "--recipe", "speedrun"], "the known GPUs are A100, H100"),
        (["--estimate-for", "0xH100", "--recipe", "speedrun"], "write it like 8xH100"),
        (["--estimate-for", "8xH100"], "needs a recipe by depth"),
        (["--price", "3"], "add --estimate-for"),
        (["--recipe", "sprint"], "laptop, large, speedrun, workstation"),
        (["--estimate-for", "1xRTX4090", "--recipe", "large"], "GPUs with more memory"),
    ],
)
def test_an_impossible_request_is_an_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["plan", *arguments]) == 2
    assert message in capsys.readouterr().err
