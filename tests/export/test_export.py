"""Exported models have the same weights, tokenizer and figures as the run."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from end_to_end import Bench, final_checkpoint

from firstwords.cli.main import run_command
from firstwords.export import gguf_file
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import SPECIAL_TOKENS, Tokenizer
from firstwords.tokenizer.chat_format import CHAT_TEMPLATE

MakeModel = Callable[..., Transformer]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("export"), pretrain=4, midtrain=2, sft=2)
    result = bench.firstwords(*bench.train())
    assert result.returncode == 0, result.stderr
    return bench


@pytest.fixture
def export(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, Path, str]]:
    """A function that runs `firstwords export`; returns exit code, directory and output."""
    monkeypatch.setenv("FIRSTWORDS_HOME", str(bench.home))

    def run(*arguments: str) -> tuple[int, Path, str]:
        code = run_command(["export", *arguments, "--out", str(tmp_path / "out")])
        captured = capsys.readouterr()
        return code, tmp_path / "out", captured.out + captured.err

    return run


def read(path: Path) -> Any:
    gguf = pytest.importorskip("gguf")
    return gguf.GGUFReader(path)


@pytest.mark.parametrize("dtype", ["f32", "f16", "q8_0"])
def test_the_gguf_has_every_weight(
    dtype: str,
    tmp_path: Path,
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: MakeModel,
) -> None:
    gguf = pytest.importorskip("gguf")
    model = random_model(tiny_model)
    gguf_file.write_gguf(tmp_path / "m.gguf", model, tiny_tokenizer, dtype, "m")
    tensors = {tensor.name: tensor for tensor in read(tmp_path / "m.gguf").tensors}
    state = model.state_dict()
    assert set(tensors) == {gguf_file.tensor_name(name) for name in state}
    for name, tensor in state.items():
        exported = tensors[gguf_file.tensor_name(name)]
        values = gguf.quants.dequantize(exported.data, exported.tensor_type).reshape(tensor.shape)
        tolerance = {"f32": 0.0, "f16": 1e-3, "q8_0": 1e-2}[dtype] * float(tensor.abs().max())
        assert np.abs(values - tensor.numpy()).max() <= tolerance


def test_the_gguf_has_the_models_metadata_and_tokenizer(
    tmp_path: Path, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    larger = tiny_model.replace(vocab_size=tiny_model.vocab_size + 3)
    gguf_file.write_gguf(tmp_path / "m.gguf", random_model(larger), tiny_tokenizer, "f32", "m")
    fields = {name: field.contents() for name, field in read(tmp_path / "m.gguf").fields.items()}
    assert fields["general.architecture"] == "qwen3"
    assert fields["qwen3.block_count"] == tiny_model.n_layer
    assert fields["qwen3.embedding_length"] == tiny_model.n_embd
    assert fields["qwen3.attention.head_count_kv"] == tiny_model.n_kv_head
    assert fields["qwen3.attention.key_length"] == tiny_model.head_dim
    assert fields["qwen3.rope.freq_base"] == tiny_model.rope_theta
    assert fields["tokenizer.chat_template"] == CHAT_TEMPLATE
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    assert len(tokens) == len(kinds) == larger.vocab_size
    assert [t for t, kind in zip(tokens, kinds, strict=True) if kind == 3] == list(SPECIAL_TOKENS)
    assert kinds[-3:] == [5, 5, 5]  # unused
    document = json.loads(tiny_tokenizer.backend.to_str())
    assert len(fields["tokenizer.ggml.merges"]) == len(document["model"]["merges"])


def test_a_hugging_face_export_opens_in_transformers(
    bench: Bench, export: Callable[..., tuple[int, Path, str]]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    code, folder, output = export("--format", "hf", "--stage", "pretrain")
    assert code == 0
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    source = final_checkpoint(bench.directory("x"), "pretrain")
    same = AutoModelForCausalLM.from_pretrained(source)
    for a, b in zip(theirs.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    assert AutoTokenizer.from_pretrained(folder)("Hello")["input_ids"]
    config = json.loads((folder / "config.json").read_text())
    written = theirs.config.to_dict()  # as transformers itself would write it
    for name in ("rope_parameters", "dtype", "eos_token_id", "head_dim", "architectures"):
        assert config[name] == json.loads(json.dumps(written[name], default=str)), name
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert theirs.generation_config.eos_token_id == config["eos_token_id"]
    assert {Path(line).name for line in output.splitlines()} == {p.name for p in folder.iterdir()}
    assert not any("optimizer" in path.name for path in folder.iterdir())
    assert (folder / "model.safetensors").stat().st_mode & 0o044, "readable by others"


def test_half_precision_halves_the_weights(export: Callable[..., tuple[int, Path, str]]) -> None:
    code, folder, _ = export("--format", "hf")
    whole = (folder / "model.safetensors").stat().st_size
    again, _, _ = export("--format", "hf", "--dtype", "f16")
    assert (code, again) == (0, 0)
    assert (folder / "model.safetensors").stat().st_size < 0.6 * whole
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"


def test_a_gguf_export_has_a_modelfile(
    export: Callable[..., tuple[int, Path, str]],
) -> None:
    pytest.importorskip("gguf")
    code, folder, _ = export("--format", "gguf", "--dtype", "q8_0")
    assert code == 0
    assert {path.name for path in folder.iterdir()} == {"README.md", "Modelfile", "x-sft-q8_0.gguf"}
    modelfile = (folder / "Modelfile").read_text()
    assert modelfile.startswith("FROM ./x-sft-q8_0.gguf\n")
    assert "<|im_start|>{{ .Role }}" in modelfile
    assert "num_ctx 64" in modelfile


def test_the_model_card_has_the_figures_of_the_run(
    bench: Bench, export: Callable[..., tuple[int, Path, str]]
) -> None:
    _, folder, _ = export("--format", "hf", "--stage", "midtrain")
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "# x-midtrain" in card
    evaluation = json.loads((bench.directory("x") / "evaluation" / "midtrain.json").read_text())
    assert f"{evaluation['tasks']['bits_per_byte']['score']:.3f}" in card
    assert re.search(r"\| pretrain \| `.*` \| 4 \| ", card)
    assert re.search(r"\| midtrain \| `.*` \| 2 \| ", card)
    assert "| sft |" not in card.split("## Scores")[0]
    assert "What it cannot do" in card


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--format", "hf", "--dtype", "q8_0"],
            "--dtype q8_0 is not available for hf; use f32 or f16",
        ),
        (["--format", "onnx"], "onnx"),
        (["--format", "hf", "--run", "missing"], "missing"),
    ],
)
def test_invalid_options_are_named(
    arguments: list[str], words: str, export: Callable[..., tuple[int, Path, str]]
) -> None:
    code, folder, output = export(*arguments)
    assert code == 2
    assert words in output
    assert not folder.exists()
