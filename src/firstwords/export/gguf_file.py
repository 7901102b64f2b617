"""GGUF, the one-file format of llama.cpp and Ollama: weights, tokenizer and chat template.

llama.cpp supports the architecture of Qwen3 and the pre-tokenizer of Qwen2, which Firstwords uses;
so weights are only renamed. Norms stay in float32, as llama.cpp requires.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from firstwords.common import files
from firstwords.model.transformer import Transformer
from firstwords.tokenizer.bpe import END_OF_TEXT, IM_END, SPECIAL_TOKENS, Tokenizer
from firstwords.tokenizer.chat_format import CHAT_TEMPLATE

ARCHITECTURE = "qwen3"
OUTER_NAMES = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}
BLOCK_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(path: Path, model: Transformer, tokenizer: Tokenizer, dtype: str, name: str) -> None:
    """Write the model to `path`, its matrices in the dtype "f32", "f16" or "q8_0"."""
    import gguf

    with files.atomic_writer(path) as file:
        writer = gguf.GGUFWriter(file.name, ARCHITECTURE)
        _add_metadata(writer, model, dtype, name)
        _add_tokenizer(writer, tokenizer, model.config.vocab_size)
        for parameter, tensor in model.state_dict().items():
            _add_tensor(writer, tensor_name(parameter), tensor, dtype)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def tensor_name(parameter: str) -> str:
    """Return the name of a parameter in llama.cpp."""
    stem = parameter.removesuffix(".weight")
    if stem in OUTER_NAMES:
        return f"{OUTER_NAMES[stem]}.weight"
    _, layer, inner = stem.split(".", 2)
    return f"blk.{layer}.{BLOCK_NAMES[inner]}.weight"


def _add_metadata(writer: Any, model: Transformer, dtype: str, name: str) -> None:
    import gguf

    config = model.config
    file_types = {
        "f32": gguf.LlamaFileType.ALL_F32,
        "f16": gguf.LlamaFileType.MOSTLY_F16,
        "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    }
    writer.add_name(name)
    writer.add_file_type(file_types[dtype])
    writer.add_context_length(config.max_seq_len)
    writer.add_embedding_length(config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_feed_forward_length(config.n_hidden)
    writer.add_head_count(config.n_head)
    writer.add_head_count_kv(config.n_kv_head)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.norm_eps)


def _add_tokenizer(writer: Any, tokenizer: Tokenizer, vocab_size: int) -> None:
    """Add the vocabulary, in the byte-level spelling of tokenizer.json.

    A model may have more token ids than a tokenizer trained on little text; these are added as
    unused tokens.
    """
    import gguf

    document = json.loads(tokenizer.backend.to_str())
    names = {token: text for text, token in tokenizer.backend.get_vocab(True).items()}
    unused, kinds = gguf.TokenType.UNUSED, gguf.TokenType
    texts = [names.get(token, f"<|unused {token}|>") for token in range(vocab_size)]
    types = [
        unused if token not in names else kinds.CONTROL if text in SPECIAL_TOKENS else kinds.NORMAL
        for token, text in enumerate(texts)
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(types)
    writer.add_token_merges(
        [
            merge if isinstance(merge, str) else " ".join(merge)
            for merge in document["model"]["merges"]
        ]
    )
    writer.add_eos_token_id(tokenizer.special(IM_END))
    writer.add_pad_token_id(tokenizer.special(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_tensor(writer: Any, name: str, tensor: Tensor, dtype: str) -> None:
    import gguf

    values: np.ndarray = tensor.detach().to(torch.float32).numpy()
    if values.ndim == 1 or dtype == "f32":
        writer.add_tensor(name, values)
    elif dtype == "f16" or values.shape[-1] % 32:  # q8_0 has blocks of 32 values
        writer.add_tensor(name, values.astype(np.float16))
    else:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
