"""Tokens of a text and the bytes they stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common.errors import UserError
from firstwords.inspect.xray.tokens import (
    InspectedToken,
    printable,
    replace_surrogates,
    texts_of,
    tokenize,
)
from firstwords.tokenizer.bpe import END_OF_TEXT, IM_START, Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt

TEXTS = st.text(min_size=1, max_size=60).filter(str.strip)


def of_text(tokens: list[InspectedToken]) -> list[InspectedToken]:
    return [token for token in tokens if token.by == "text"]


@given(TEXTS, st.booleans())
def test_spans_cover_the_text_and_hold_its_bytes(
    tiny_tokenizer: Tokenizer, text: str, chat: bool
) -> None:
    text = replace_surrogates(text)
    tokens = tokenize(tiny_tokenizer, text, chat, 10_000)
    content = (text.strip() if chat else text).encode()
    end = 0
    for token in of_text(tokens):
        assert token.start == end
        assert token.end is not None
        end = token.end
        assert content[token.start : end] == tiny_tokenizer.token_bytes(token.id)
    assert end == len(content)
    if chat:
        message = [{"role": "user", "content": text}]
        assert [token.id for token in tokens] == encode_prompt(tiny_tokenizer, message)


@given(TEXTS)
def test_texts_of_tokens_join_to_the_text(tiny_tokenizer: Tokenizer, text: str) -> None:
    text = replace_surrogates(text)
    tokens = tokenize(tiny_tokenizer, text, False, 10_000)
    assert "".join(texts_of(tiny_tokenizer, tokens)) == END_OF_TEXT + text


def test_markup_surrounds_a_document_and_a_message(
    tiny_tokenizer: Tokenizer,
) -> None:
    document = tokenize(tiny_tokenizer, "The fox", False, 100)
    assert [token.by for token in document[:2]] == ["frame", "text"]
    assert document[0].id == tiny_tokenizer.special(END_OF_TEXT)
    message = tokenize(tiny_tokenizer, "The fox", True, 100)
    assert message[0].id == tiny_tokenizer.special(IM_START)
    assert [t.id for t in of_text(message)] == [t.id for t in of_text(document)]


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), (" \n", "empty"), ("a " * 99, "context")]
)
def test_empty_and_long_texts_are_errors(tiny_tokenizer: Tokenizer, text: str, words: str) -> None:
    for chat in (False, True):
        with pytest.raises(UserError, match=words):
            tokenize(tiny_tokenizer, text, chat, 64)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (b" fox", "␣fox"),
        (b".\n\n", ".⏎⏎"),
        ("ü".encode(), "ü"),
        (b"\xc3", "\\xc3"),
        (b"\x1b[2J", "\\x1b[2J"),
        ("\u202e".encode(), "\\u202e"),
        (b"\t", "\\t"),
        (b"", "(unused)"),
    ],
)
def test_printable_form_of_a_token_is_harmless(token: bytes, expected: str) -> None:
    assert printable(token) == expected
