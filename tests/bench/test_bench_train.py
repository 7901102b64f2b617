"""`firstwords bench train`: it measures whole steps, and takes ratios within a round."""

import json
import os
import subprocess
import sys

import pytest
import torch
from waiting import LIMIT_SECONDS

from firstwords.bench import train as bench
from firstwords.bench.train_contenders import (
    CONTENDERS,
    PlainGPT,
    product_shapes,
    time_parts,
    time_round,
)
from firstwords.common import devices
from firstwords.model.size import flops_per_token, matmul_parameters
from firstwords.recipe import ModelConfig, Recipe, StageConfig

STAGE = StageConfig(steps=1, batch_size=4, micro_batch_size=2, seq_len=32)
PARTS = {"data", "forward", "backward", "optimizer"}
NATIVE_PARTS = {"data", "gradients", "optimizer"}


@pytest.fixture
def recipe(tiny_model: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setattr(devices, "configure_torch", lambda n_threads: None)
    return Recipe(
        n_threads=1, tokenizer_bytes=1, model=tiny_model, pretrain=STAGE, midtrain=STAGE, sft=STAGE
    )


def test_the_ceiling_has_every_matmul_of_the_model(tiny_model: ModelConfig) -> None:
    shapes = product_shapes(tiny_model)
    assert sum(n * i * o for i, o, n in shapes) == matmul_parameters(tiny_model)


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_times_all_parts_of_a_step(name: str, recipe: Recipe) -> None:
    step = CONTENDERS[name](recipe)
    parts = time_parts(step)
    assert set(parts) == ({"products"} if "products" in name else PARTS)
    assert all(seconds > 0 for seconds in parts.values())
    assert set(time_round(step, seconds=0.0)) == set(parts)


@pytest.mark.parametrize("kernel", ["pytorch", "native"])
@pytest.mark.parametrize("name", ["firstwords", "eager", "adamw"])
def test_a_step_changes_every_parameter(
    name: str, kernel: str, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every parameter moves: a step that leaves something out would be measured too fast."""
    modules: list[torch.nn.Module] = []
    register = torch.nn.Module.__init__

    def remember(self: torch.nn.Module, *args: object, **kwargs: object) -> None:
        register(self, *args, **kwargs)
        modules.append(self)

    monkeypatch.setattr(torch.nn.Module, "__init__", remember)
    step = CONTENDERS[name](recipe.replace(kernel=kernel))
    model = modules[0]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(3):  # zero weights pass no gradient on until they have moved
        time_parts(step)
    unchanged = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    assert not unchanged


def test_the_plain_gpt_has_the_same_size_and_is_causal(tiny_model: ModelConfig) -> None:
    config = tiny_model.replace(n_kv_head=tiny_model.n_head)
    model = PlainGPT(config)
    parameters = sum(
        p.numel()
        for name, p in model.named_parameters()
        if p.ndim == 2 and not name.startswith(("tokens", "positions"))
    )
    assert parameters == pytest.approx(matmul_parameters(config), rel=0.01)
    x_BT = torch.arange(20)[None]
    changed_BT = x_BT.clone()
    changed_BT[0, 10] = 99
    with torch.inference_mode():
        same = (model(x_BT) - model(changed_BT)).abs().amax((0, 2)) < 1e-5
    assert same.tolist() == [True] * 10 + [False] * 10


def test_ratios_are_taken_within_a_round(recipe: Recipe) -> None:
    """The machine is half as fast in the second round, and no ratio changes."""

    def round_at(speed: float) -> bench.Round:
        ours = {"data": 0.1, "forward": 0.9, "backward": 2.0, "optimizer": 1.0}
        return {
            "products": {"products": 3.0 / speed},
            "native_products": {"products": 2.0 / speed},
            "firstwords": {part: s / speed for part, s in ours.items()},
            "pytorch": {"forward": 8.0 / speed},
            "eager": {"forward": 10.0 / speed},
            "adamw": {"forward": 6.0 / speed},
        }

    result = bench.summarize_rounds(recipe, [round_at(1.0), round_at(0.5), round_at(1.0)])
    tokens = recipe.pretrain.batch_tokens
    useful_flops = flops_per_token(recipe.model, 32) * tokens
    product_flops = 6 * matmul_parameters(recipe.model) * tokens
    assert result["fraction_of_ceiling"] == pytest.approx(useful_flops / product_flops * 2.0 / 4.0)
    assert result["fraction_range"] == pytest.approx([result["fraction_of_ceiling"]] * 2)
    assert result["tokens_per_second"] == pytest.approx(tokens / 4.0)
    assert result["ceiling_gflops"] == pytest.approx(product_flops / 2.0 / 1e9)
    assert result["peers"]["eager"]["times_slower"] == pytest.approx(2.5)
    assert result["peers"]["adamw"]["range"] == pytest.approx([1.5, 1.5])
    text = bench.render_train(result)
    assert "2.50 times slower" in text
    assert "optimizer 25%" in text


def test_a_contender_that_stops_is_named(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CONTENDERS", {"missing": None})
    with pytest.raises(RuntimeError, match="missing stopped"):
        bench.measure_rounds(recipe, 1)


@pytest.mark.slow
def test_json_output_is_one_document(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A plan for a short time, one round, all contenders in processes of their own."""
    command = ["bench", "train", "--time", "60s", "--rounds", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "firstwords", *command],
        env={**os.environ, "FIRSTWORDS_HOME": str(tmp_path_factory.mktemp("home"))},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["fraction_of_ceiling"] > 0
    assert result["tokens_per_second"] > 0
    assert result["ceiling_gflops"] > 0
    assert set(result["peers"]) == {"pytorch", "eager", "adamw"}
    assert set(result["step_seconds"]) in (PARTS, NATIVE_PARTS)
