"""Byte-level BPE: train, encode, decode, save as `tokenizer.json`.

All 256 bytes are tokens, so any text can be encoded and decoded without loss (byte fallback). Text
is first split by the pattern of Qwen2, in which every digit is on its own: "128" is always 1, 2, 8,
so a model that adds numbers sees their columns. `rustbpe` learns the merges and `tiktoken` applies
them, each about three times as fast as `tokenizers` (`firstwords bench tokenizer`), which reads and
writes the file format of other tools.

No text is too long: a document may be a single word, or a million spaces. Encoding takes time in
proportion to the text (times the logarithm of its longest word) and gives the same ids as other
tools that read the file.
"""

import functools
import hashlib
import itertools
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import rustbpe
import tiktoken
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as Backend

from firstwords.common import files
from firstwords.common.errors import UserError

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

# The same pattern with a limit to the length of a match, for training only. Without it a word of a
# megabyte would be read again for each merge, and become a token of a megabyte. Longer matches need
# more memory for the pattern's automaton than its cache holds: with 64, training takes twice as
# long. Ordinary text has no longer words, so its merges stay the same.
MAX_TRAINED_CHARS = 48
TRAINING_PATTERN = SPLIT_PATTERN.replace("+", f"{{1,{MAX_TRAINED_CHARS}}}").replace(
    "*", f"{{0,{MAX_TRAINED_CHARS}}}"
)

# The characters that `\s` matches, apart from line breaks.
SPACES = "\t\x0b\x0c \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_SPACE_RUN = re.compile(f"[{SPACES}]+")
# tiktoken panics at a million spaces: `\s+(?!\S)` needs an entry of a stack for each.
MAX_MATCHED_SPACES = 100_000

# Mean characters of a text from which several threads pay off; a span of a conversation has ~40.
MIN_CHARS_FOR_THREADS = 500


def _byte_characters() -> dict[str, int]:
    """Return the byte for each character of a token in `tokenizer.json`.

    GPT-2's scheme writes every byte as one printable character: printable Latin-1 as itself, the
    other bytes as the code points from 256 on.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_characters()
_CHARACTER_OF_BYTE = {byte: character for character, byte in _BYTE_OF_CHARACTER.items()}


class Tokenizer:
    """Converts text to token ids and back.

    The name of a special token within a text is encoded as ordinary text; only `special` returns
    the id of one.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        vocabulary = backend.get_vocab(with_added_tokens=True)
        self._special = {text: vocabulary.pop(text) for text in SPECIAL_TOKENS}
        ranks = {_bytes_of(text): token for text, token in vocabulary.items()}
        if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
            raise ValueError(f"no token for byte {missing[0]}")
        self._bytes = {token: content for content, token in ranks.items()}
        self._bytes |= {token: text.encode() for text, token in self._special.items()}
        self._encoding = tiktoken.Encoding(
            "firstwords", pat_str=SPLIT_PATTERN, mergeable_ranks=ranks, special_tokens={}
        )
        self._ranks = ranks

    @functools.cached_property
    def _spaces_encoding(self) -> tiktoken.Encoding:
        """The same merges, applied to a run of spaces that is not split."""
        return tiktoken.Encoding(
            "firstwords-spaces", pat_str=r"\s+", mergeable_ranks=self._ranks, special_tokens={}
        )

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        on_merges: Callable[[int, int], None] = lambda done, total: None,
    ) -> "Tokenizer":
        """Learn a vocabulary of `vocab_size` tokens, or fewer if the text has no more merges.

        When all texts are read, `on_merges` is called with the number of merges learned so far and
        in total, a hundred times.
        """
        trainer = rustbpe.Tokenizer()
        with _merge_log(on_merges):
            trainer.train_from_iterator(
                iter(texts), vocab_size=vocab_size - len(SPECIAL_TOKENS), pattern=TRAINING_PATTERN
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
        """Load `tokenizer.json`. Raises UserError if it is missing, damaged or lacks a token."""
        try:
            backend = Backend.from_str(path.read_text(encoding="utf-8"))
            missing = [text for text in SPECIAL_TOKENS if backend.token_to_id(text) is None]
            tokenizer = None if missing else cls(backend)
        except BaseException as error:  # tokenizers raises bare Exception, or panics
            if not isinstance(error, Exception) and not _is_panic(error):
                raise
            raise UserError(
                f"cannot read the tokenizer {path} ({error})",
                "delete it and run the same command again",
            ) from None
        if tokenizer is None:
            raise UserError(f"{path} lacks the special token {missing[0]}", "start a new run")
        return tokenizer

    def save(self, path: Path) -> None:
        """Write `tokenizer.json`, in the format of the `tokenizers` library."""
        files.write_text(path, self._json())

    def _json(self) -> str:
        return json.dumps(json.loads(self.backend.to_str()), ensure_ascii=False)

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of `tokenizer.json`."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    @property
    def vocab_size(self) -> int:
        return self.backend.get_vocab_size()

    def special(self, text: str) -> int:
        """Return the id of a special token."""
        return self._special[text]

    @property
    def pad_id(self) -> int:
        """The token that pads rows: end-of-text."""
        return self._special[END_OF_TEXT]

    @property
    def special_ids(self) -> list[int]:
        return sorted(self._special.values())

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        ids: list[int] = []
        done = 0
        for start, end in _long_spaces(text):
            ids += self._encoding.encode_ordinary(text[done:start])
            ids += self._spaces_encoding.encode_ordinary(text[start:end])
            done = end
        return ids + self._encoding.encode_ordinary(text[done:])

    def encode_batch(self, texts: list[str], threads: int | None = None) -> list[list[int]]:
        """Return the token ids of each text.

        Uses this many threads, by default one for each core. Short texts use a single one, since
        passing them to other threads takes longer than encoding them.
        """
        threads = threads or os.cpu_count() or 1
        if threads == 1 or sum(map(len, texts)) < MIN_CHARS_FOR_THREADS * len(texts):
            return [self.encode(text) for text in texts]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self.encode, texts))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids: special tokens by name, invalid UTF-8 as U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of a token: of a special one its name, of an unknown id none.

        A model may predict unknown ids, since its vocabulary can be larger than the tokenizer's.
        """
        return self._bytes.get(token, b"")


class _MergeLog(logging.Handler):
    """Passes on the progress that rustbpe logs: "Progress: 2% (77/3833 merges)"."""

    def __init__(self, on_merges: Callable[[int, int], None]) -> None:
        super().__init__()
        self.on_merges = on_merges

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"\((\d+)/(\d+) merges\)", record.getMessage()):
            self.on_merges(int(found[1]), int(found[2]))


@contextmanager
def _merge_log(on_merges: Callable[[int, int], None]) -> Iterator[None]:
    log, handler = logging.getLogger("rustbpe"), _MergeLog(on_merges)
    level, propagate = log.level, log.propagate
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Return the split of a text before any merge, for the `tokenizers` library."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _long_spaces(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each match of SPLIT_PATTERN that has more than MAX_MATCHED_SPACES
    spaces.

    The last space before a word belongs to the next match, and spaces before a line break to that
    of the line break.
    """
    end = 0
    for position in range(0, len(text), MAX_MATCHED_SPACES):
        if position < end or not (run := _SPACE_RUN.match(text, position)):
            continue
        before = text[max(0, position - MAX_MATCHED_SPACES) : position]
        start = position - len(before) + len(before.rstrip(SPACES))
        end = run.end()
        if end - start > MAX_MATCHED_SPACES and text[end : end + 1] not in ("\n", "\r"):
            yield start, end if end == len(text) else end - 1


def _name_of(token: bytes) -> str:
    return "".join(_CHARACTER_OF_BYTE[byte] for byte in token)


def _is_panic(error: BaseException) -> bool:
    """Return whether an error is a panic of Rust code, which is no Exception."""
    return type(error).__name__ == "PanicException"


def _bytes_of(name: str) -> bytes:
    return bytes(_BYTE_OF_CHARACTER[character] for character in name)


def _merges(tokens: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the pair from which each token was merged.

    To find it, encode the token's bytes with the tokens learned before it.
    """
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
