"""A text as the model gets it: tokens, and the stretch of the text that each stands for."""

from typing import Literal, NamedTuple

from firstwords.conversation import encode_prompt
from firstwords.errors import UserError
from firstwords.tokenizer import END_OF_TEXT, Tokenizer

# Who wrote a token: the text itself, the frame that documents and conversations have, the model
# as it went on, or the calculator.
By = Literal["text", "frame", "model", "tool"]


class Token(NamedTuple):
    id: int
    by: By
    start: int | None = None  # bytes of the text
    end: int | None = None


def read(tokenizer: Tokenizer, text: str, chat: bool, context: int) -> list[Token]:
    """The tokens of a text that begins like a document, or of a conversation in which a user says
    it and the assistant is about to answer. Raises UserError."""
    if not text.strip():
        raise UserError("the text is empty", "write something to look at")
    if chat:
        tokens = _in_conversation(tokenizer, text.strip())
    else:
        frame = [Token(tokenizer.special(END_OF_TEXT), "frame")]
        tokens = frame + _spans(tokenizer, tokenizer.encode(text), 0, len(text.encode()))
    if len(tokens) > context:
        raise UserError(
            f"the text has {len(tokens):,} tokens, and the model reads {context:,} at most",
            "look at a shorter one",
        )
    return tokens


def _in_conversation(tokenizer: Tokenizer, text: str) -> list[Token]:
    first, *rest = encode_prompt(tokenizer, [{"role": "user", "content": text}])
    tokens = _spans(tokenizer, rest, -len(b"user\n"), len(text.encode()))
    return [Token(first, "frame"), *tokens]


def _spans(tokenizer: Tokenizer, ids: list[int], at: int, length: int) -> list[Token]:
    """Tokens of which the first begins `at` a byte of a text of that `length`; those before and
    after it are the frame."""
    tokens = []
    for token in ids:
        end = at + len(tokenizer.token_bytes(token))
        inside = at >= 0 and end <= length
        tokens.append(Token(token, "text", at, end) if inside else Token(token, "frame"))
        at = end
    return tokens


def whole(text: str) -> str:
    """Without halves of surrogate pairs, which arguments that are no UTF-8 and JSON may hold."""
    return text.encode(errors="replace").decode()


def shown(token: bytes) -> str:
    """A token for the eye: a space is ␣, a line break ⏎; what is no character, or would play
    tricks on a terminal or page, is written as its code."""
    if not token:
        return "(unused)"
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return "".join(chr(b) if 32 < b < 127 else f"\\x{b:02x}" for b in token)
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character in " \n":
        return {" ": "␣", "\n": "⏎"}[character]
    return character if character.isprintable() else repr(character)[1:-1]
