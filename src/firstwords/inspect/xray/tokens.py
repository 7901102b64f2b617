"""A text as the model reads it: tokens, and the bytes of the text that each stands for."""

from codecs import getincrementaldecoder
from typing import Literal, NamedTuple

from firstwords.common.errors import UserError
from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt

# Where a token comes from: the text; an answer that was given before, or the calculator's result
# in it; the markup of documents and conversations; the model or the calculator, just now.
Source = Literal["text", "answer", "result", "frame", "model", "tool"]


class InspectedToken(NamedTuple):
    """A token, who wrote it, and the bytes [start, end) of the text or message if it is part of
    that."""

    id: int
    by: Source
    start: int | None = None
    end: int | None = None


def tokenize(tokenizer: Tokenizer, text: str, chat: bool, context: int) -> list[InspectedToken]:
    """Return the tokens of a document that starts with `text`, or, with `chat`, of a conversation
    up to where the assistant answers it.

    Raises UserError if the text is empty or has more tokens than the `context`.
    """
    if not text.strip():
        raise UserError("the text is empty", "write at least one word")
    if chat:
        tokens = _tokenize_message(tokenizer, text.strip())
    else:
        start = InspectedToken(tokenizer.special(END_OF_TEXT), "frame")
        tokens = [start, *with_spans(tokenizer, tokenizer.encode(text), 0, len(text.encode()))]
    if len(tokens) > context:
        raise UserError(
            f"the text has {len(tokens):,} tokens, and the model's context is {context:,}",
            "use a shorter text",
        )
    return tokens


def _tokenize_message(tokenizer: Tokenizer, text: str) -> list[InspectedToken]:
    first, *rest = encode_prompt(tokenizer, [{"role": "user", "content": text}])
    tokens = with_spans(tokenizer, rest, -len(b"user\n"), len(text.encode()))
    return [InspectedToken(first, "frame"), *tokens]


def with_spans(
    tokenizer: Tokenizer, ids: list[int], start: int, length: int, writer: Source = "text"
) -> list[InspectedToken]:
    """Return tokens with their bytes of a text of `length` bytes, the first at byte `start`. Tokens
    outside of the text are its frame."""
    tokens = []
    for token in ids:
        end = start + len(tokenizer.token_bytes(token))
        if start >= 0 and end <= length:
            tokens.append(InspectedToken(token, writer, start, end))
        else:
            tokens.append(InspectedToken(token, "frame"))
        start = end
    return tokens


def texts_of(tokenizer: Tokenizer, tokens: list[InspectedToken]) -> list[str]:
    """Return what each token adds to the text. A character of several tokens is part of the last of
    them."""
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    return [decoder.decode(tokenizer.token_bytes(token.id)) for token in tokens]


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which JSON and arguments that are not UTF-8 may contain."""
    return text.encode(errors="replace").decode()


def printable(token: bytes) -> str:
    """Return a token in printable form: a space is ␣, a line break ⏎, and bytes that are no
    character or would control a terminal or a page are escaped."""
    if not token:
        return "(unused)"
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return "".join(chr(b) if 32 < b < 127 else f"\\x{b:02x}" for b in token)
    return "".join(map(_printable_character, text))


def escape_controls(text: str) -> str:
    """Escape characters of a text that would control a terminal; line breaks stay."""
    return "".join(c if c in " \n" else _printable_character(c) for c in text)


def _printable_character(character: str) -> str:
    if character in " \n":
        return {" ": "␣", "\n": "⏎"}[character]
    return character if character.isprintable() else repr(character)[1:-1]
