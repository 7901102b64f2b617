"""Byte-level BPE: train, encode, decode, save as `tokenizer.json`.

The 256 bytes are tokens, so any text can be written and read back (byte fallback). Text is first
cut by the split pattern of Qwen2, in which every digit stands alone: "128" is always 1, 2, 8,
and a model that adds numbers sees columns. Merges are learned by `rustbpe` and applied by
`tiktoken`, each about three times as fast as `tokenizers`, which reads and writes the file format
that other tools open (`firstwords bench tokenizer`).
"""

import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path

import rustbpe
import tiktoken
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
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

WORTH_A_THREAD = 500  # characters; a piece of a conversation has some 40


def _byte_characters() -> dict[str, int]:
    """Byte-level BPE writes every byte as one printable character (GPT-2's scheme): printable
    Latin-1 as itself, the other bytes as the code points from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_characters()
_CHARACTER_OF_BYTE = {byte: character for character, byte in _BYTE_OF_CHARACTER.items()}


class Tokenizer:
    """Text to token ids and back. Special tokens in a text are ordinary text here:
    only `special` makes one."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        vocabulary = backend.get_vocab(with_added_tokens=True)
        self._special = {text: vocabulary.pop(text) for text in SPECIAL_TOKENS}
        ranks = {_bytes_of(text): token for text, token in vocabulary.items()}
        self._bytes = {token: content for content, token in ranks.items()}
        self._bytes |= {token: text.encode() for text, token in self._special.items()}
        self._encoding = tiktoken.Encoding(
            "firstwords", pat_str=SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens={}
        )

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn the merges of `vocab_size` tokens in all, fewer where the text has no more."""
        trainer = rustbpe.Tokenizer()
        trainer.train_from_iterator(
            iter(texts), vocab_size=vocab_size - len(SPECIAL_TOKENS), pattern=SPLIT_PATTERN
        )
        tokens = [bytes(token) for token, _ in trainer.get_mergeable_ranks()]
        names = [*SPECIAL_TOKENS, *map(_name_of, tokens)]
        merges = [(_name_of(a), _name_of(b)) for a, b in _merges(tokens)]
        backend = Backend(models.BPE({name: i for i, name in enumerate(names)}, merges))
        backend.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL_TOKENS])
        backend.pre_tokenizer = pre_tokenizer()
        backend.decoder = decoders.ByteLevel()
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
        return self._encoding.encode_ordinary(text)

    def encode_batch(self, texts: list[str], threads: int | None = None) -> list[list[int]]:
        """Encode with so many threads, by default one for each core; short texts with one, since
        handing them to another takes longer."""
        threads = threads or os.cpu_count() or 1
        if threads == 1 or sum(map(len, texts)) < WORTH_A_THREAD * len(texts):
            return [self.encode(text) for text in texts]
        return self._encoding.encode_ordinary_batch(texts, num_threads=threads)

    def decode(self, ids: Iterable[int]) -> str:
        """Special tokens are written out; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """The bytes a token stands for; a special token's are those of its name, and those of an id
        beyond a small vocabulary nothing."""
        return self._bytes.get(token, b"")


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """How `tokenizers` cuts a text by the split pattern, before any merge."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _name_of(token: bytes) -> str:
    return "".join(_CHARACTER_OF_BYTE[byte] for byte in token)


def _bytes_of(name: str) -> bytes:
    return bytes(_BYTE_OF_CHARACTER[character] for character in name)


def _merges(tokens: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The pair that each token was merged from: what its bytes become with the tokens before it."""
    rank = {token: i for i, token in enumerate(tokens)}
    merges = []
    for number, token in enumerate(tokens):
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 2:
            ranks = [rank.get(a + b, number) for a, b in itertools.pairwise(parts)]
            first = min(range(len(ranks)), key=ranks.__getitem__)
            parts[first : first + 2] = [parts[first] + parts[first + 1]]
        if len(parts) == 2:
            merges.append((parts[0], parts[1]))
    return merges
