"""Every hyper-parameter, in one place.

A recipe says exactly what a run does; together with the machine it determines the final weights. It
is fixed when the run starts, stored in its run.json, and read back by `train --recipe`. The comment
at a field is its description in docs/reference/recipe.md.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, field_validator, model_validator

from firstwords.common.errors import UserError
from firstwords.common.hardware import Device
from firstwords.common.schema import FrozenModel, parse

Dtype = Literal["float32", "bfloat16"]
AttentionKind = Literal["fused", "plain"]
Kernel = Literal["pytorch", "native"]
Shard = Literal["optimizer", "weights"]
Stage = Literal["pretrain", "midtrain", "sft", "rl"]
MIN_VOCAB_SIZE = 263  # the 256 bytes and the seven special tokens
STAGES: tuple[Stage, ...] = ("pretrain", "midtrain", "sft", "rl")
REQUIRED_STAGES = STAGES[:3]  # a run may leave out the last one


class ModelConfig(FrozenModel):
    """The transformer's shape."""

    vocab_size: int = Field(ge=2, le=65_536)  # tokens; ids are stored in two bytes
    n_layer: int = Field(ge=1)  # blocks
    n_embd: int = Field(ge=8)  # channels of the residual stream
    n_head: int = Field(ge=1)  # query heads
    n_kv_head: int = Field(ge=1)  # key-value heads, each shared by as many query heads
    head_dim: int = Field(ge=2, multiple_of=2)  # channels of a head
    n_hidden: int = Field(ge=8)  # hidden units of the MLP
    max_seq_len: int = Field(ge=2)  # context window in tokens
    rope_theta: float = Field(default=10_000.0, gt=0)  # base of the rotary positions
    norm_eps: float = Field(default=1e-6, gt=0)  # keeps the norms from dividing by zero

    @model_validator(mode="after")
    def _heads_share_evenly(self) -> "ModelConfig":
        if self.n_head % self.n_kv_head:
            raise ValueError("n_head must be a multiple of n_kv_head")
        return self


class OptimizerConfig(FrozenModel):
    """Peak learning rates: Muon for the matrices of the blocks, AdamW for the other parameters."""

    matrix_lr: float = Field(default=0.008, gt=0)  # of Muon, per unit of spectral norm
    embedding_lr: float = Field(default=0.04, gt=0)  # of the embedding and the output head
    norm_lr: float = Field(default=0.01, gt=0)  # of the norms
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)  # decay of Muon's mean of gradients
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)  # decay of AdamW's mean of gradients
    adam_beta2: float = Field(
        default=0.95, ge=0, lt=1
    )  # decay of AdamW's mean of squared gradients


class StageConfig(FrozenModel):
    """One training stage."""

    steps: int = Field(ge=0)  # optimizer steps; 0 skips the stage
    batch_size: int = Field(ge=1)  # rows of a batch, all used in one step
    micro_batch_size: int = Field(
        ge=1
    )  # rows that go through the model at a time; fewer need less memory
    seq_len: int = Field(ge=2)  # tokens of a row
    lr_scale: float = Field(default=1.0, gt=0)  # fraction of the peak learning rates
    warmup_steps: int = Field(default=0, ge=0)  # first steps, in which the rate rises
    decay_fraction: float = Field(
        default=0.5, ge=0, le=1
    )  # fraction of the steps, at the end, in which the rate falls
    final_lr_fraction: float = Field(
        default=0.05, ge=0, le=1
    )  # fraction of the rate that remains in the last step

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, padding included."""
        return self.batch_size * self.seq_len

    @property
    def tokens(self) -> int:
        """Tokens of all steps, padding included."""
        return self.steps * self.batch_tokens


class RLConfig(StageConfig):
    """Reinforcement learning on answers of the model's own."""

    # Rows of a step: one for each answer, and those that continue finetuning.
    batch_size: int = Field(default=136, ge=3)
    micro_batch_size: int = Field(default=8, ge=1)  # rows that go through the model at a time
    seq_len: int = Field(default=256, ge=2)  # tokens of a row, of a question with its answer
    lr_scale: float = Field(default=0.06, gt=0)  # fraction of the peak learning rates
    warmup_steps: int = Field(default=10, ge=0)  # first steps, in which the rate rises
    group_size: int = Field(default=16, ge=2)  # answers to each question
    max_answer_tokens: int = Field(default=96, ge=1)  # an answer that is longer counts as wrong
    sft_rows: int = Field(default=8, ge=1)  # rows of a step that continue finetuning
    sft_weight: float = Field(default=0.1, ge=0)  # weight of their mean loss
    # Kinds of questions, those of the exam; not used with an own reward.
    kinds: tuple[str, ...] = ("stories", "instructions", "calculator")
    reward: str = ""  # path of a Python file with an own reward; empty for the exam's rules

    @field_validator("kinds", mode="before")
    @classmethod
    def _split_kinds(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _rows_fit(self) -> "RLConfig":
        answers = self.batch_size - self.sft_rows
        if answers <= 0 or answers % self.group_size:
            raise ValueError("batch_size must be a multiple of group_size, plus sft_rows")
        return self

    @property
    def questions(self) -> int:
        """Questions of a step, each answered `group_size` times."""
        return (self.batch_size - self.sft_rows) // self.group_size


class Recipe(FrozenModel):
    """All hyper-parameters of a run."""

    seed: int = Field(
        default=0, ge=0, lt=2**32
    )  # random seed of the initial weights and of the data's order
    n_threads: int = Field(ge=1, le=1024)  # CPU threads
    device: Device = "cpu"  # where training runs: the CPU, NVIDIA GPUs (cuda) or an Apple GPU (mps)
    # Dtype of the matrix products; weights, optimizer and checkpoints are float32.
    dtype: Dtype = "float32"
    # What computes a training step: PyTorch, or C++ compiled for this processor.
    kernel: Kernel = "pytorch"
    compile: bool = False  # whether to use torch.compile with PyTorch; needs a C++ compiler
    # Attention in training: one fused kernel, or separate operations for torch.compile to fuse.
    attention: AttentionKind = "fused"
    # What is sharded among several processes: the optimizer state, or the weights as well, for
    # models too large for one device (slower: every step sends weights).
    shard: Shard = "optimizer"
    # Bytes of text that train the tokenizer; 0 takes that of the run that this one starts from.
    tokenizer_bytes: int = Field(ge=0)
    # Fraction of these bytes that comes from conversations.
    tokenizer_chat_fraction: float = Field(default=0.2, ge=0, le=1)
    model: ModelConfig  # shape of the model
    optimizer: OptimizerConfig = OptimizerConfig()  # learning rates and momentum
    pretrain: StageConfig  # on text
    midtrain: StageConfig  # on conversations, every token a target
    sft: StageConfig  # on conversations, only the assistant's tokens as targets
    rl: RLConfig | None = None  # on answers of the model's own; a run may leave this stage out
    # Fraction of pretraining rows that repeat random tokens.
    repeat_fraction: float = Field(default=0.0, ge=0, lt=1)
    # Fraction of rows with plain text in midtraining and finetuning.
    replay_fraction: float = Field(default=0.1, ge=0, lt=1)
    val_bytes: int = Field(
        default=200_000, ge=1_000
    )  # bytes of held-out text that each stage is measured on
    # Questions in each category of the exam, for models trained on the starter conversations.
    exam_items: int = Field(default=200, ge=1, le=1_000)
    # Items in each part of the published benchmarks, if their data was fetched; 0 for none.
    benchmark_items: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        if self.model.vocab_size < MIN_VOCAB_SIZE:
            raise ValueError(f"model.vocab_size must be at least {MIN_VOCAB_SIZE}")
        for name in self.stages:
            if self.stage(name).seq_len > self.model.max_seq_len:
                raise ValueError(f"{name}.seq_len is longer than model.max_seq_len")
        return self

    @property
    def text_tokens(self) -> int:
        """Tokens of text that the stages read: pretraining's, or those that the chat stages mix in
        if they are more."""
        chat_tokens = self.midtrain.tokens + self.sft.tokens
        replayed = chat_tokens * self.replay_fraction / (1 - self.replay_fraction)
        return max(self.pretrain.tokens, round(replayed))

    @property
    def step_kind(self) -> str:
        """What computes a training step: "native", or by PyTorch "compiled" or "eager"."""
        if self.kernel == "native":
            return "native"
        return "compiled" if self.compile else "eager"

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the run, in order."""
        return STAGES if self.rl else REQUIRED_STAGES

    def stage(self, name: Stage) -> StageConfig:
        """Return the configuration of a stage. Raises KeyError if the run leaves it out."""
        configs = {"pretrain": self.pretrain, "midtrain": self.midtrain, "sft": self.sft}
        return (configs | {"rl": self.rl} if self.rl else configs)[name]

    def replace_stages(self, **changes: Any) -> "Recipe":
        """Return the recipe with these fields replaced in all of its stages."""
        return self.replace(**{name: self.stage(name).replace(**changes) for name in self.stages})


def with_overrides(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    """Return the recipe with some fields replaced, each written `optimizer.matrix_lr=0.004`.

    Raises UserError for an unknown name or a value that is not valid.
    """
    document = recipe.model_dump()
    for override in overrides:
        name, _, value = override.partition("=")
        if name not in field_names():
            raise UserError(
                f"--set {override} names no field of a recipe",
                f"write NAME=VALUE with a NAME of {', '.join(field_names())}",
            )
        *outer, last = name.split(".")
        inner = document
        for key in outer:
            if inner[key] is None:  # a stage that the run left out
                inner[key] = {}
            inner = inner[key]
        inner[last] = value
    return parse(Recipe, document, Path("--set"))


def overridden_names(overrides: Iterable[str]) -> list[str]:
    """Return the names of the fields that overrides replace."""
    return [override.partition("=")[0] for override in overrides]


def field_names(kind: type[BaseModel] = Recipe) -> list[str]:
    """Return the names of all hyper-parameters, such as `seed` and `optimizer.matrix_lr`."""
    names = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        sections = [part for part in (inner, *get_args(inner)) if _is_model(part)]
        if sections:  # also of a stage that may be None
            names += [f"{name}.{part}" for part in field_names(sections[0])]
        else:
            names.append(name)
    return names


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
