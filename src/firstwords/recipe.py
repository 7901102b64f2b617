"""Every hyper-parameter, in one place.

A recipe says exactly what a run does; with the machine it decides the final weights. It is fixed
when the run starts, stored in its `run.json`, and read back by `train --recipe`. What stands behind
or above a field is its meaning in `docs/reference/recipe.md`.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from firstwords.errors import UserError

Dtype = Literal["float32", "bfloat16"]
Attention = Literal["fused", "plain"]
Shard = Literal["optimizer", "weights"]
Device = Literal["cpu", "cuda", "mps"]
Stage = Literal["base", "mid", "sft"]
MIN_VOCAB_SIZE = 263  # the 256 bytes and the seven special tokens
STAGES: tuple[Stage, ...] = ("base", "mid", "sft")
SEQ_LEN = 256  # of the models that a plan chooses


class Fixed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelConfig(Fixed):
    """The transformer's shape."""

    vocab_size: int = Field(ge=2, le=65_536)  # tokens; ids are stored in two bytes
    n_layer: int = Field(ge=1)  # blocks, one after the other
    n_embd: int = Field(ge=8)  # channels of the residual stream
    n_head: int = Field(ge=1)  # heads of queries
    n_kv_head: int = Field(ge=1)  # heads of keys and values, shared evenly by those of queries
    head_dim: int = Field(ge=2, multiple_of=2)  # channels of a head
    n_hidden: int = Field(ge=8)  # width of the MLP
    max_seq_len: int = Field(ge=2)  # the context: tokens that the model sees at a time
    rope_theta: float = Field(default=10_000.0, gt=0)  # base of the rotary positions
    norm_eps: float = Field(default=1e-6, gt=0)  # keeps the norms from dividing by zero

    @model_validator(mode="after")
    def _heads_share_evenly(self) -> "ModelConfig":
        if self.n_head % self.n_kv_head:
            raise ValueError("n_head must be a multiple of n_kv_head")
        return self


def model_config(shape: tuple[int, int, int], vocab_size: int) -> ModelConfig:
    """The model of (layers, channels, heads); its MLP is 8/3 of the channels wide."""
    n_layer, n_embd, n_head = shape
    return ModelConfig(
        vocab_size=vocab_size,
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_kv_head=n_head,
        head_dim=n_embd // n_head,
        n_hidden=round(n_embd * 8 / 3 / 64) * 64,
        max_seq_len=SEQ_LEN,
    )


class OptimizerConfig(Fixed):
    """Peak learning rates: Muon's of the matrices, Adam's of the other parameters."""

    matrix_lr: float = Field(default=0.008, gt=0)  # Muon's, per unit of spectral norm
    embedding_lr: float = Field(default=0.04, gt=0)  # the embedding's and the output head's
    norm_lr: float = Field(default=0.01, gt=0)  # the norms'
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)  # of its mean of the gradients
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)  # of Adam's mean of gradients
    adam_beta2: float = Field(default=0.95, ge=0, lt=1)  # of its mean of their squares


class StageConfig(Fixed):
    """One stage of training."""

    steps: int = Field(ge=1)  # updates of the weights
    batch_rows: int = Field(ge=1)  # rows of tokens in a batch, that is in a step
    micro_rows: int = Field(ge=1)  # rows taken through the model at a time: fewer need less memory
    seq_len: int = Field(ge=2)  # tokens of a row
    lr_scale: float = Field(default=1.0, gt=0)  # this stage's share of the peak learning rates
    warmup_steps: int = Field(default=0, ge=0)  # first steps, in which the rate rises
    decay_fraction: float = Field(default=0.5, ge=0, le=1)  # share of the steps in which it falls
    final_lr: float = Field(default=0.05, ge=0, le=1)  # what is left of it in the last step

    @property
    def batch_tokens(self) -> int:
        return self.batch_rows * self.seq_len

    @property
    def tokens(self) -> int:
        return self.steps * self.batch_tokens


class Recipe(Fixed):
    """All that a run needs to know."""

    seed: int = Field(default=0, ge=0, lt=2**32)  # of the initial weights, and of the data's order
    n_threads: int = Field(ge=1, le=1024)  # of the processor, at work together
    device: Device = "cpu"  # what trains: the processor, NVIDIA GPUs (cuda) or Apple's (mps)
    # Of the matrix products; weights, optimizer and checkpoints are float32.
    dtype: Dtype = "float32"
    compile: bool = False  # whether torch.compile makes the steps faster; needs a C++ compiler
    # In training: one kernel, or its products and softmax one by one, which torch.compile joins.
    attention: Attention = "fused"
    # What several processes share out between them: the optimizer's memory, or the weights too, for
    # models that are too large for one device (slower: weights travel with every step).
    shard: Shard = "optimizer"
    tokenizer_bytes: int = Field(ge=1)  # of text that train the tokenizer
    # The share of them from conversations, which have words of their own.
    tokenizer_chat: float = Field(default=0.2, ge=0, le=1)
    model: ModelConfig  # its shape
    optimizer: OptimizerConfig = OptimizerConfig()  # how its weights are moved
    base: StageConfig  # pretraining
    mid: StageConfig  # midtraining
    sft: StageConfig  # supervised finetuning
    # The share of rows of random tokens that repeat, in pretraining.
    echo: float = Field(default=0.0, ge=0, lt=1)
    replay: float = Field(default=0.1, ge=0, lt=1)  # share of plain text in the stages after it
    val_bytes: int = Field(default=200_000, ge=1_000)  # of held-out text, measured after each stage
    # Questions in each part of the exam, which a model that learned from the starter's
    # conversations takes.
    exam_items: int = Field(default=200, ge=1, le=1_000)
    # Questions in each part of the published benchmarks, where their data is at hand; 0: none.
    benchmark_items: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        if self.model.vocab_size < MIN_VOCAB_SIZE:
            raise ValueError(f"model.vocab_size must be at least {MIN_VOCAB_SIZE}")
        for name in STAGES:
            if self.stage(name).seq_len > self.model.max_seq_len:
                raise ValueError(f"{name}.seq_len is longer than model.max_seq_len")
        return self

    def stage(self, name: Stage) -> StageConfig:
        return {"base": self.base, "mid": self.mid, "sft": self.sft}[name]


def read_recipe(path: Path) -> Recipe:
    """The recipe in a run.json, or in a JSON or TOML file of its own."""
    document = read_document(path)
    inner = document.get("recipe", document) if isinstance(document, dict) else document
    return parse(Recipe, inner, path)


def changed(recipe: Recipe, changes: Iterable[str]) -> Recipe:
    """The recipe with some of its fields replaced, each as `optimizer.matrix_lr=0.004` says.

    Raises UserError.
    """
    document = recipe.model_dump()
    for change in changes:
        name, _, value = change.partition("=")
        if name not in field_names():
            raise UserError(
                f"--set {change}", f"write NAME=VALUE; the names are {', '.join(field_names())}"
            )
        *outer, last = name.split(".")
        inner = document
        for key in outer:
            inner = inner[key]
        inner[last] = value
    return parse(Recipe, document, Path("--set"))


def field_names(kind: type[BaseModel] = Recipe) -> list[str]:
    """Every hyper-parameter, those of a part behind its name and a dot."""
    names = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += [f"{name}.{part}" for part in field_names(inner)]
        else:
            names.append(name)
    return names


def read_document(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {path} ({error})", "give a run.json or a recipe file"
        ) from None
    try:
        return parse_toml(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise UserError(f"{path} is not valid ({error})", "mend the file") from None


def parse_toml(text: str) -> Any:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    return tomllib.loads(text)


def parse(kind: type[Any], document: Any, path: Path) -> Any:
    """Validate `document` as a `kind`; the first mistake becomes one line that names its field."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise UserError(f"{path}, {where}", f"{first['msg']}") from None
