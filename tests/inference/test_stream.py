"""Streaming: stop strings end an answer and are never returned, whatever the tokens."""

import pytest
from fakes import ScriptedDecoder
from hypothesis import given
from hypothesis import strategies as st

from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.inference.stream import StopFilter
from firstwords.tokenizer.bpe import IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer


def stream(
    tokenizer: Tokenizer, script: list[int], stop: tuple[str, ...] = (), max_tokens: int = 500
) -> tuple[list[str], StopFilter]:
    """Return the pieces of content, one for each token that released some, and the filter."""
    script = [*script, tokenizer.special(IM_END)]
    engine = Engine(ScriptedDecoder(tokenizer.vocab_size, script, 1000))  # type: ignore[arg-type]
    sampling = GREEDY.replace(stop=stop, max_tokens=max_tokens)
    sequence = engine.submit([1], sampling)
    stop_filter, pieces = StopFilter(tokenizer, sequence), []
    while not sequence.finished:
        for _, token in engine.step():
            pieces.append("".join(event.content for event in stop_filter.feed(token)))
    return [piece for piece in pieces if piece], stop_filter


@given(
    text=st.text("abc\n", max_size=40),
    stop=st.lists(st.text("abc\n", min_size=1, max_size=4), max_size=3),
)
def test_the_text_before_the_first_stop_string_is_returned(
    tiny_tokenizer: Tokenizer, text: str, stop: list[str]
) -> None:
    pieces, stop_filter = stream(tiny_tokenizer, tiny_tokenizer.encode(text), tuple(stop))
    starts = [start for one in stop if (start := text.find(one)) >= 0]
    assert "".join(pieces) == text[: min(starts, default=len(text))]
    assert stop_filter.finish_reason == "stop"


def test_text_is_released_once_it_cannot_be_a_stop_string(tiny_tokenizer: Tokenizer) -> None:
    script = [token for letter in "abxaby" for token in tiny_tokenizer.encode(letter)]
    pieces, _ = stream(tiny_tokenizer, script, ("aby",))
    assert pieces == ["abx"]
    pieces, _ = stream(tiny_tokenizer, script)
    assert pieces == list("abxaby")


def test_held_back_text_is_released_at_max_tokens(tiny_tokenizer: Tokenizer) -> None:
    script = [token for letter in "cab" for token in tiny_tokenizer.encode(letter)]
    pieces, stop_filter = stream(tiny_tokenizer, script, ("abx",), max_tokens=3)
    assert "".join(pieces) == "cab"
    assert stop_filter.finish_reason == "length"


@pytest.mark.parametrize(("expression", "broken"), [("1+2", False), ("1+", True)])
def test_calls_keep_their_place_in_the_text(
    expression: str, broken: bool, tiny_tokenizer: Tokenizer
) -> None:
    special = tiny_tokenizer.special
    call = [special(TOOL_CALL), *tiny_tokenizer.encode(expression), special(TOOL_CALL_END)]
    script = [*tiny_tokenizer.encode("a"), *call, *tiny_tokenizer.encode("b")]
    pieces, stop_filter = stream(tiny_tokenizer, script, ("ax",))
    result = "error" if broken else "3"
    whole = f"a<tool_call>{expression}</tool_call><tool_response>{result}</tool_response>b"
    assert "".join(pieces) == whole
    assert stop_filter.broken_call == broken


def test_an_unfinished_call_is_broken(tiny_tokenizer: Tokenizer) -> None:
    script = [tiny_tokenizer.special(TOOL_CALL), *tiny_tokenizer.encode("1")]
    _, stop_filter = stream(tiny_tokenizer, script)
    assert stop_filter.broken_call
