"""Checkpoints in the format of Hugging Face transformers: a Qwen3 model and its tokenizer.

Weights are in safetensors, the configuration in JSON. `transformers`, vLLM and other tools open
such a directory without conversion.
"""

import errno
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.common.hardware import Device
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import END_OF_TEXT, IM_END, SPECIAL_TOKENS, Tokenizer
from firstwords.tokenizer.chat_format import CHAT_TEMPLATE

MODEL_FILES = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
)

PREFIX = "model."  # Qwen3ForCausalLM holds all but the output head in an attribute of that name
HEAD = "lm_head."


def write_model(
    directory: Path,
    model: Transformer,
    tokenizer: Tokenizer,
    dtype: torch.dtype = torch.float32,
) -> list[Path]:
    """Write the model and its tokenizer as MODEL_FILES into `directory`; return their paths.

    `dtype` is that of the stored weights.
    """
    weights = {
        name if name.startswith(HEAD) else PREFIX + name: tensor.to(dtype).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_tensors(directory / "model.safetensors", weights)
    tokenizer.save(directory / "tokenizer.json")
    end = [tokenizer.special(IM_END), tokenizer.special(END_OF_TEXT)]
    config = hf_config(model.config, end, str(dtype).removeprefix("torch."))
    files.write_json(directory / "config.json", config)
    files.write_json(
        directory / "generation_config.json", {"eos_token_id": end, "pad_token_id": end[1]}
    )
    files.write_json(
        directory / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model.config.max_seq_len,
            # transformers 4 otherwise adds token types, which the model refuses.
            "model_input_names": ["input_ids", "attention_mask"],
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


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file, which appears whole or not at all. Raises OSError."""
    try:
        with files.atomic_writer(path) as file:
            save_file(tensors, file.name, metadata={"format": "pt"})
    except SafetensorError as error:
        # The error number is only in the text; callers need it to recognize a full disk.
        match = re.search(r"os error (\d+)", str(error))
        raise OSError(int(match[1]) if match else errno.EIO, str(error), str(path)) from None
    path.chmod(0o644)  # safetensors makes the file private to its owner


def hf_config(config: ModelConfig, eos: list[int], dtype: str = "float32") -> dict[str, Any]:
    """Return `config` as the config.json of transformers' Qwen3; `eos` are the ids that end a
    generation.

    transformers 5 reads `rope_parameters`; 4.56 and the converters of llama.cpp read `rope_theta`.
    """
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
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "rms_norm_eps": config.norm_eps,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
        "use_cache": True,
        "eos_token_id": eos,
        "dtype": dtype,
    }


def read_config(directory: Path) -> ModelConfig:
    """Return the model configuration in a checkpoint's config.json."""
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
    """Return the model of a checkpoint, in evaluation mode on `device`."""
    model = Transformer(read_config(directory))
    load_weights(model, directory)
    return model.to(device).eval()


def load_weights(model: Transformer, directory: Path) -> None:
    """Set the weights of `model` to those of a checkpoint. Raises UserError if it has another
    shape."""
    weights = load_file(directory / "model.safetensors")
    weights = {name.removeprefix(PREFIX): tensor for name, tensor in weights.items()}
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if shapes != {name: tensor.shape for name, tensor in weights.items()}:
        raise UserError(
            f"the model in {directory} has another shape than the recipe in run.json",
            "restore the run.json that the run started with, or start a new run with --run NAME",
        )
    model.load_state_dict(weights)
