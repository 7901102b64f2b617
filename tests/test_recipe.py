"""Recipes: read as written, and a mistake is reported with its field."""

import json
from pathlib import Path
from typing import Any

import pytest
from factories import make_manifest
from pydantic import ValidationError

from firstwords.common.errors import UserError
from firstwords.pipeline.request import read_recipe_file
from firstwords.recipe import (
    REQUIRED_STAGES,
    ModelConfig,
    Recipe,
    StageConfig,
    field_names,
    with_overrides,
)

TOML = """
n_threads = 2
tokenizer_bytes = 1000
replay_fraction = 0.5

[model]
vocab_size = 512
n_layer = 2
n_embd = 32
n_head = 4
n_kv_head = 2
head_dim = 8
n_hidden = 48
max_seq_len = 64
"""
STAGE = {"steps": 3, "batch_size": 4, "micro_batch_size": 2, "seq_len": 32}


@pytest.fixture
def document(tiny_model: ModelConfig) -> dict[str, Any]:
    return {
        "n_threads": 1,
        "tokenizer_bytes": 1000,
        "model": tiny_model.model_dump(),
        **{stage: dict(STAGE) for stage in REQUIRED_STAGES},
    }


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_a_recipe_comes_back_from_json(document: dict[str, Any], tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**document, "seed": 7, "dtype": "bfloat16"})
    assert read_recipe_file(write(tmp_path / "r.json", recipe.model_dump())).recipe == recipe


def test_a_recipe_is_found_in_a_run_json(document: dict[str, Any], tmp_path: Path) -> None:
    manifest = make_manifest(Recipe.model_validate(document))
    path = write(tmp_path / "run.json", manifest.model_dump())
    assert read_recipe_file(path).recipe == Recipe.model_validate(document)


def test_a_recipe_is_read_from_toml(tmp_path: Path) -> None:
    stages = "".join(
        f"[{stage}]\n" + "".join(f"{key} = {value}\n" for key, value in STAGE.items())
        for stage in REQUIRED_STAGES
    )
    (tmp_path / "r.toml").write_text(TOML + stages)
    recipe = read_recipe_file(tmp_path / "r.toml").recipe
    assert recipe.model.n_embd == 32
    assert recipe.replay_fraction == 0.5
    assert recipe.sft == StageConfig(**STAGE)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"n_threads": 0}, "n_threads"),
        ({"n_threads": None}, "n_threads"),
        ({"dtype": "float16"}, "dtype"),
        ({"replay_fraction": 1.0}, "replay_fraction"),
        ({"unknown": 1}, "unknown"),
        ({"pretrain": {**STAGE, "steps": -1}}, "pretrain.steps"),
        ({"midtrain": {**STAGE, "lr": 1}}, "midtrain.lr"),
        ({"sft": 3}, "sft"),
        ({"model": {"n_layer": 2}}, "model.vocab_size"),
    ],
)
def test_a_mistake_is_reported_with_file_and_field(
    change: dict[str, Any], field: str, document: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "r.json", {**document, **change})
    with pytest.raises(UserError) as caught:
        read_recipe_file(path)
    assert str(caught.value).startswith(f"{path}: {field} is not valid; ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.json", b"{"),
        ("r.json", b"\xff\xfe"),
        ("r.json", b"[1]"),
        ("r.json", b"3"),
        ("r.toml", b"a = "),
        ("absent.json", None),
    ],
)
def test_a_file_that_is_no_recipe_is_named(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        read_recipe_file(path)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("model", {"n_head": 4, "n_kv_head": 3}),
        ("model", {"vocab_size": 100}),
        ("model", {"vocab_size": 70_000}),
        ("pretrain", {"seq_len": 65}),
    ],
)
def test_fields_that_do_not_go_together_are_refused(
    part: str, change: dict[str, Any], document: dict[str, Any], tmp_path: Path
) -> None:
    document[part].update(change)
    with pytest.raises(UserError, match=part):
        read_recipe_file(write(tmp_path / "r.json", document))


def test_a_recipe_cannot_be_changed(document: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(document)
    with pytest.raises(ValidationError):
        recipe.seed = 3


def test_tokens_of_a_stage_are_counted(document: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(document)
    assert [recipe.stage(stage).tokens for stage in REQUIRED_STAGES] == [3 * 4 * 32] * 3
    assert recipe.pretrain.batch_tokens == 128


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "1" + "0" * 400])
def test_no_number_is_infinite(value: str, document: dict[str, Any]) -> None:
    """`nan` compares with nothing, so it passes every range."""
    recipe = Recipe.model_validate({**document, "rl": {"steps": 3, "seq_len": 32}})
    refused = 0
    for name in field_names():
        part: Any = recipe
        for key in name.split("."):
            part = getattr(part, key)
        if isinstance(part, int | float) and not isinstance(part, bool):
            with pytest.raises(UserError, match="is not valid"):
                with_overrides(recipe, [f"{name}={value}"])
            refused += 1
    assert refused > 40


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_recipe_file_has_no_infinite_number(
    number: str, document: dict[str, Any], tmp_path: Path
) -> None:
    text = json.dumps({**document, "replay_fraction": 0.5}).replace("0.5", number)
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UserError, match="replay_fraction"):
        read_recipe_file(tmp_path / "r.json")
