"""Listening: stop texts end an answer and are never given out, whatever the tokens."""

import pytest
from fakes import Scripted
from hypothesis import given
from hypothesis import strategies as st

from firstwords.inference.engine import Engine
from firstwords.inference.listener import Listener
from firstwords.inference.sampling import GREEDY
from firstwords.tokenizer import IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer


def hear(
    tokenizer: Tokenizer, script: list[int], stop: tuple[str, ...] = (), max_tokens: int = 500
) -> tuple[list[str], Listener]:
    """The pieces that come, one list entry for each token that lets something out."""
    script = [*script, tokenizer.special(IM_END)]
    engine = Engine(Scripted(tokenizer.vocab_size, script, 1000))  # type: ignore[arg-type]
    sampling = GREEDY.model_copy(update={"stop": stop, "max_tokens": max_tokens})
    sequence = engine.submit([1], sampling)
    listener, pieces = Listener(tokenizer, sequence), []
    while not sequence.over:
        for _, token in engine.step():
            pieces.append("".join(event.content for event in listener.hear(token)))
    return [piece for piece in pieces if piece], listener


@given(
    text=st.text("abc\n", max_size=40),
    stop=st.lists(st.text("abc\n", min_size=1, max_size=4), max_size=3),
)
def test_what_comes_is_the_text_before_the_first_stop(
    tiny_tokenizer: Tokenizer, text: str, stop: list[str]
) -> None:
    pieces, listener = hear(tiny_tokenizer, tiny_tokenizer.encode(text), tuple(stop))
    found = [place for one in stop if (place := text.find(one)) >= 0]
    assert "".join(pieces) == text[: min(found, default=len(text))]
    assert listener.reason == "stop"


def test_text_comes_as_soon_as_it_can_be_no_stop(tiny_tokenizer: Tokenizer) -> None:
    script = [token for letter in "abxaby" for token in tiny_tokenizer.encode(letter)]
    pieces, _ = hear(tiny_tokenizer, script, ("aby",))
    assert pieces == ["abx"]
    pieces, _ = hear(tiny_tokenizer, script)
    assert pieces == list("abxaby")


def test_an_answer_that_is_cut_off_gives_out_what_was_held(tiny_tokenizer: Tokenizer) -> None:
    script = [token for letter in "cab" for token in tiny_tokenizer.encode(letter)]
    pieces, listener = hear(tiny_tokenizer, script, ("abx",), max_tokens=3)
    assert "".join(pieces) == "cab"
    assert listener.reason == "length"


@pytest.mark.parametrize(("expression", "broken"), [("1+2", False), ("1+", True)])
def test_calls_come_between_the_text(
    expression: str, broken: bool, tiny_tokenizer: Tokenizer
) -> None:
    special = tiny_tokenizer.special
    call = [special(TOOL_CALL), *tiny_tokenizer.encode(expression), special(TOOL_CALL_END)]
    script = [*tiny_tokenizer.encode("a"), *call, *tiny_tokenizer.encode("b")]
    pieces, listener = hear(tiny_tokenizer, script, ("ax",))
    result = "error" if broken else "3"
    whole = f"a<tool_call>{expression}</tool_call><tool_response>{result}</tool_response>b"
    assert "".join(pieces) == whole
    assert listener.broken_call == broken


def test_a_call_without_an_end_is_broken(tiny_tokenizer: Tokenizer) -> None:
    script = [tiny_tokenizer.special(TOOL_CALL), *tiny_tokenizer.encode("1")]
    _, listener = hear(tiny_tokenizer, script)
    assert listener.broken_call
