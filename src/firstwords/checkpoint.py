"""Checkpoints: directories in the Hugging Face layout, whole or absent, verified before use.

Every checkpoint opens with `transformers.AutoModelForCausalLM.from_pretrained`. Beside the weights
stand the optimizer's state and the position in training, and a checksum of every file; a damaged
checkpoint is passed over for the one before it. Weights and state are safetensors, the rest JSON.

    model.safetensors        weights, float32
    config.json              the model's shape, as a Qwen3ForCausalLM
    tokenizer.json           the run's tokenizer
    tokenizer_config.json    which of its tokens end, pad and mark
    chat_template.jinja      how a conversation is written
    generation_config.json   the tokens that end an answer
    optimizer.safetensors    what Muon and Adam remember
    training.json            the step
    checksums.json           SHA-256 of the others
"""

import errno
import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from firstwords import files
from firstwords.conversation import CHAT_TEMPLATE
from firstwords.errors import DamagedFile
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer
from firstwords.recipe import Device, ModelConfig
from firstwords.tokenizer import END_OF_TEXT, IM_END, SPECIAL_TOKENS, Tokenizer

KEEP = 2
MODEL_FILES = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
)
PREFIX = "model."  # Qwen3ForCausalLM keeps all but the output head in an attribute of that name
HEAD = "lm_head."


class Checkpoint(NamedTuple):
    directory: Path
    step: int


def save(
    directory: Path, model: Transformer, tokenizer: Tokenizer, state: dict[str, Tensor]
) -> None:
    """Write a checkpoint below `directory`, with the optimizer's state; drop old ones."""
    step = int(state["steps"])
    with files.replacing_directory(directory / f"{step:07d}") as new:
        write_model(new, model, tokenizer)
        _save_tensors(new / "optimizer.safetensors", state)
        files.write_json(new / "training.json", {"step": step})
        sums = {file.name: files.sha256_of(file) for file in sorted(new.iterdir())}
        files.write_json(new / "checksums.json", sums)
    for old in newest_first(directory)[KEEP:]:
        files.remove_directory(old.directory)


class Writer:
    """Writes checkpoints beside the training, one at a time: only copying takes the training's
    time. Leaving waits for the last; what went wrong with one is raised when the next is due, or
    then."""

    def __init__(self, directory: Path, tokenizer: Tokenizer) -> None:
        self.directory, self.tokenizer = directory, tokenizer
        self.seconds = 0.0  # that the last one took, the copy included
        self._pool = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *failure: object) -> None:
        self._pool.shutdown()
        if failure[0] is None:
            self.wait()

    def save(self, copy: Transformer, state: dict[str, Tensor]) -> None:
        """Write a model that nobody changes any more, and a copy of the state."""
        self.wait()
        start = time.monotonic()
        state = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}

        def write() -> None:
            save(self.directory, copy, self.tokenizer, state)
            self.seconds = time.monotonic() - start

        self._last = self._pool.submit(write)

    def wait(self) -> None:
        if self._last:
            self._last.result()


def write_model(
    directory: Path,
    model: Transformer,
    tokenizer: Tokenizer,
    dtype: torch.dtype = torch.float32,
) -> list[Path]:
    """The files that other tools read, whose paths are returned."""
    weights = {
        name if name.startswith(HEAD) else PREFIX + name: tensor.to(dtype).contiguous()
        for name, tensor in model.state_dict().items()
    }
    _save_tensors(directory / "model.safetensors", weights)
    tokenizer.save(directory / "tokenizer.json")
    end = [tokenizer.special(IM_END), tokenizer.special(END_OF_TEXT)]
    config = hf_config(model.config, end) | {"torch_dtype": str(dtype).removeprefix("torch.")}
    files.write_json(directory / "config.json", config)
    files.write_json(
        directory / "generation_config.json", {"eos_token_id": end, "pad_token_id": end[1]}
    )
    files.write_json(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model.config.max_seq_len,
            "clean_up_tokenization_spaces": False,
            "eos_token": IM_END,
            "pad_token": END_OF_TEXT,
            "additional_special_tokens": [
                t for t in SPECIAL_TOKENS if t not in (IM_END, END_OF_TEXT)
            ],
        },
    )
    files.write_text(directory / "chat_template.jinja", CHAT_TEMPLATE)
    return [directory / name for name in MODEL_FILES]


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        with files.replacing(path) as file:
            save_file(tensors, file.name, metadata={"format": "pt"})
    except SafetensorError as error:
        # It says why in words only; a full disk is worth an errno.
        full = re.search(r"os error (\d+)", str(error))
        raise OSError(int(full[1]) if full else errno.EIO, str(error), str(path)) from None
    path.chmod(0o644)  # safetensors makes it private to its owner


def hf_config(config: ModelConfig, eos: list[int]) -> dict[str, Any]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": config.vocab_size,
        "hidden_size": config.n_embd,
        "intermediate_size": config.n_hidden,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_kv_head,
        "head_dim": config.head_dim,
        "max_position_embeddings": config.max_seq_len,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
        "use_cache": True,
        "eos_token_id": eos,
        "torch_dtype": "float32",
    }


def read_config(directory: Path) -> ModelConfig:
    config = files.read_json(directory / "config.json")
    return ModelConfig(
        vocab_size=config["vocab_size"],
        n_layer=config["num_hidden_layers"],
        n_embd=config["hidden_size"],
        n_head=config["num_attention_heads"],
        n_kv_head=config["num_key_value_heads"],
        head_dim=config["head_dim"],
        n_hidden=config["intermediate_size"],
        max_seq_len=config["max_position_embeddings"],
        rope_theta=config["rope_theta"],
        norm_eps=config["rms_norm_eps"],
    )


def load_model(directory: Path, device: Device = "cpu") -> Transformer:
    model = Transformer(read_config(directory))
    load_weights(model, directory)
    return model.to(device).eval()


def load_weights(model: Transformer, directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    model.load_state_dict({name.removeprefix(PREFIX): tensor for name, tensor in weights.items()})


def load_optimizer(optimizer: Optimizer, directory: Path) -> None:
    state: dict[str, Tensor] = load_file(directory / "optimizer.safetensors")
    optimizer.load_state(state)


def newest(directory: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest undamaged checkpoint below `directory`; `warn` hears of damaged ones."""
    found = newest_first(directory)
    for checkpoint in found:
        try:
            verify(checkpoint.directory)
        except DamagedFile as damage:
            rest = "starting again" if checkpoint is found[-1] else "using the one before it"
            warn(f"{checkpoint.directory} is damaged ({damage}); {rest}")
            continue
        return checkpoint
    return None


def remove_after(directory: Path, step: int) -> None:
    """Remove what is newer than `step`: damaged, and about to be made again."""
    for checkpoint in newest_first(directory):
        if checkpoint.step > step:
            files.remove_directory(checkpoint.directory)


def verify(directory: Path) -> None:
    """Raises DamagedFile for a file that is missing or differs from its checksum."""
    try:
        sums: dict[str, str] = files.read_json(directory / "checksums.json")
    except (OSError, ValueError):
        raise DamagedFile("checksums.json is unreadable") from None
    for name, expected in sums.items():
        path = directory / name
        if not path.is_file():
            raise DamagedFile(f"{name} is missing")
        if files.sha256_of(path) != expected:
            raise DamagedFile(f"{name} does not match its checksum")


def newest_first(directory: Path) -> list[Checkpoint]:
    """All that are there, damaged or not."""
    found = [Checkpoint(path, int(path.name)) for path in directory.glob("[0-9]*") if path.is_dir()]
    return sorted(found, key=lambda checkpoint: -checkpoint.step)
