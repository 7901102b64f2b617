"""Byte-level BPE: train, encode, decode, save as `tokenizer.json`.

The 256 bytes are tokens, so any text can be written and read back (byte fallback). Text is first
cut by the split pattern of Qwen2, in which every digit stands alone: "128" is always 1, 2, 8,
and a model that adds numbers sees columns. Training and encoding are `tokenizers`' (Rust).
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from firstwords import files
from firstwords.errors import UserError

END_OF_TEXT = "<|endoftext|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
TOOL_CALL = "<tool_call>"
TOOL_CALL_END = "</tool_call>"
TOOL_RESPONSE = "<tool_response>"
TOOL_RESPONSE_END = "</tool_response>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    IM_START,
    IM_END,
    TOOL_CALL,
    TOOL_CALL_END,
    TOOL_RESPONSE,
    TOOL_RESPONSE_END,
)

# Qwen2's pattern: contractions, words with a leading space or sign, single digits, punctuation,
# line breaks, spaces.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _byte_characters() -> dict[str, int]:
    """Byte-level BPE writes every byte as one printable character (GPT-2's scheme): printable
    Latin-1 as itself, the other bytes as the code points from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_characters()


class Tokenizer:
    """Text to token ids and back. Special tokens in a text are ordinary text here:
    only `special` makes one."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True
        vocabulary = backend.get_vocab(with_added_tokens=True)
        self._special = {text: vocabulary[text] for text in SPECIAL_TOKENS}
        self._special_text = {token: text for text, token in self._special.items()}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn the merges of `vocab_size` tokens in all, fewer where the text has no more."""
        backend = Backend(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[AddedToken(text, special=True) for text in SPECIAL_TOKENS],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        return cls(backend)

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Raises UserError if the file is absent or not one of ours."""
        try:
            backend = Backend.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # tokenizers raises bare Exception
            raise UserError(
                f"cannot read the tokenizer {path} ({error})", "delete it and run train again"
            ) from None
        missing = [text for text in SPECIAL_TOKENS if backend.token_to_id(text) is None]
        if missing:
            raise UserError(f"{path} lacks the special token {missing[0]}", "train a new run")
        return cls(backend)

    def save(self, path: Path) -> None:
        files.write_text(path, json.dumps(json.loads(self.backend.to_str()), ensure_ascii=False))

    @property
    def vocab_size(self) -> int:
        return self.backend.get_vocab_size()

    def special(self, text: str) -> int:
        return self._special[text]

    @property
    def special_ids(self) -> list[int]:
        return sorted(self._special.values())

    def encode(self, text: str) -> list[int]:
        return self.backend.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Encode on all cores."""
        return [e.ids for e in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Special tokens are written out; bytes that are no UTF-8 become U+FFFD."""
        return self.backend.decode(list(ids), skip_special_tokens=False)

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for; a special token's are those of its name."""
        if token in self._special_text:
            return self._special_text[token].encode()
        text = self.backend.id_to_token(token) or ""  # ids beyond a small vocabulary are nothing
        return bytes(_BYTE_OF_CHARACTER[character] for character in text)
