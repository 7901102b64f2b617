"""Chat: tools, whole characters, a context that does not run over. The model follows a script."""

from collections.abc import Iterable

import pytest
from fakes import Scripted

from firstwords.conversation import encode_prompt
from firstwords.inference.chat import Chat, Event, answer, fit_prompt
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import (
    END_OF_TEXT,
    IM_END,
    IM_START,
    SPECIAL_TOKENS,
    TOOL_CALL,
    TOOL_CALL_END,
    TOOL_RESPONSE,
    TOOL_RESPONSE_END,
    Tokenizer,
)

CONTEXT = 160


@pytest.fixture
def tk(tiny_tokenizer: Tokenizer) -> Tokenizer:
    return tiny_tokenizer


def tokens(tokenizer: Tokenizer, *parts: str) -> list[int]:
    """Special tokens by their names, anything else as text."""
    ids: list[int] = []
    for part in parts:
        special = part in SPECIAL_TOKENS
        ids += [tokenizer.special(part)] if special else tokenizer.encode(part)
    return ids


def scripted(config: ModelConfig, tokenizer: Tokenizer, *parts: str) -> Scripted:
    return Scripted(config.vocab_size, tokens(tokenizer, *parts), CONTEXT)


def said(model: Scripted, tokenizer: Tokenizer, max_tokens: int = 100) -> list[Event]:
    engine = Engine(model)  # type: ignore[arg-type]
    prompt = encode_prompt(tokenizer, [{"role": "user", "content": "hi"}])
    sampling = GREEDY.model_copy(update={"max_tokens": max_tokens})
    return list(answer(engine, tokenizer, prompt, sampling))


def text_of(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if event.kind == "text")


# --- an answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [IM_END, END_OF_TEXT, IM_START])
def test_an_answer_ends_at_its_end(end: str, tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(tiny_model, tk, "Hello fox!", end, "never said")
    assert text_of(said(model, tk)) == "Hello fox!"


def test_a_call_is_computed_and_its_response_forced_into_the_context(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    model = scripted(
        tiny_model, tk, "Let me see: ", TOOL_CALL, "12*34", TOOL_CALL_END, " done.", IM_END
    )
    events = said(model, tk)
    assert Event("tool", "12*34", "408") in events
    assert text_of(events) == "Let me see:  done."
    call = tokens(tk, TOOL_CALL, "12*34", TOOL_CALL_END, TOOL_RESPONSE, "408", TOOL_RESPONSE_END)
    shown = model.shown
    place = shown.index(tk.special(TOOL_CALL))
    assert shown[place : place + len(call)] == call
    assert "".join(event.content for event in events) == (
        "Let me see: <tool_call>12*34</tool_call><tool_response>408</tool_response> done."
    )


def test_a_call_that_makes_no_sense_gives_an_error_and_the_answer_goes_on(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    model = scripted(tiny_model, tk, TOOL_CALL, "__import__('os')", TOOL_CALL_END, "Well.", IM_END)
    events = said(model, tk)
    assert events[0] == Event("tool", "__import__('os')", "error")
    assert text_of(events) == "Well."


def test_a_comparison_as_a_call_does_not_end_the_chat(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    model = scripted(tiny_model, tk, TOOL_CALL, "1<2", TOOL_CALL_END, "Well.", IM_END)
    assert text_of(said(model, tk)) == "Well."


def test_a_call_that_is_not_finished_is_left_out(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(tiny_model, tk, "Let me see", TOOL_CALL, "1" * 200)
    events = said(model, tk, max_tokens=20)
    assert {event.kind for event in events} == {"text"}
    assert text_of(events) == "Let me see"


def test_two_calls_are_both_computed(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(
        tiny_model,
        tk,
        *(TOOL_CALL, "2+2", TOOL_CALL_END, TOOL_CALL, "3*3", TOOL_CALL_END, IM_END),
    )
    assert [e.result for e in said(model, tk)] == ["4", "9"]


def test_stray_tool_markup_is_not_shown(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(
        tiny_model, tk, "a", TOOL_RESPONSE, "b", TOOL_RESPONSE_END, TOOL_CALL_END, "c", IM_END
    )
    assert text_of(said(model, tk)) == "abc"


def test_a_character_of_several_tokens_is_shown_when_it_is_whole(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    text = "漢字 and 😀!"
    assert len(tk.encode("😀")) > 1
    events = said(scripted(tiny_model, tk, text, IM_END), tk)
    assert text_of(events) == text
    assert all("\ufffd" not in event.text for event in events)


def test_half_a_character_at_the_end_is_marked(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    half = tk.encode("😀")[:-1]
    model = Scripted(tiny_model.vocab_size, [*tk.encode("ab"), *half, tk.special(IM_END)], CONTEXT)
    assert text_of(said(model, tk)) == "ab\ufffd"


# --- the prompt -----------------------------------------------------------------------------------


def turns(n: int) -> list[dict[str, str]]:
    messages = []
    for i in range(n):
        messages += [
            {"role": "user", "content": f"Question {i}?"},
            {"role": "assistant", "content": f"Answer {i}."},
        ]
    return [*messages, {"role": "user", "content": "And now?"}]


def test_a_short_conversation_is_the_prompt_as_it_is(tk: Tokenizer) -> None:
    assert fit_prompt(tk, turns(1), 10_000) == (encode_prompt(tk, turns(1)), 0, False)


@pytest.mark.parametrize("context", [40, 60, 100, 200, 256])
def test_the_oldest_turns_go_first_and_the_rest_fits_with_room_for_an_answer(
    context: int, tk: Tokenizer
) -> None:
    messages = turns(20)
    ids, dropped, cut = fit_prompt(tk, messages, context)
    assert len(ids) <= context - min(64, context // 4)
    assert ids == encode_prompt(tk, messages[dropped:])
    assert 0 < dropped < len(messages)
    assert dropped % 2 == 0
    assert not cut
    one_turn_more = encode_prompt(tk, messages[dropped - 2 :])
    assert len(one_turn_more) > context - min(64, context // 4), "no more than needed is dropped"


def test_the_system_message_stays(tk: Tokenizer) -> None:
    system = {"role": "system", "content": "Be brief."}
    ids, dropped, _ = fit_prompt(tk, [system, *turns(20)], 100)
    assert ids == encode_prompt(tk, [system, *turns(20)[dropped:]])
    assert dropped > 0


def test_of_a_message_that_is_too_long_the_end_is_kept(tk: Tokenizer) -> None:
    long = "word " * 500 + "What is the last word?"
    ids, dropped, cut = fit_prompt(tk, [*turns(2), {"role": "user", "content": long}], 100)
    assert cut
    assert dropped == 5
    assert len(ids) == 100 - 25
    text = tk.decode(ids)
    assert text.startswith("<|im_start|>user\n")
    assert text.count(IM_START) == 2
    assert text.endswith("What is the last word?<|im_end|>\n<|im_start|>assistant\n")


def test_a_system_message_too_long_for_the_context_does_not_garble_the_prompt(
    tk: Tokenizer,
) -> None:
    system = {"role": "system", "content": "Be brief. " * 100}
    ids, _, _ = fit_prompt(tk, [system, *turns(0)], 100)
    assert tk.decode(ids).count(IM_START) == 2


# --- a conversation -------------------------------------------------------------------------------


def test_a_chat_remembers_its_turns(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(tiny_model, tk, "One.", IM_END, TOOL_CALL, "1+1", TOOL_CALL_END, IM_END)
    chat = Chat(Engine(model), tk, GREEDY)  # type: ignore[arg-type]
    assert text_of(chat.say("first")) == "One."
    list(chat.say("second"))
    assert chat.messages == [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": "second"},
        {
            "role": "assistant",
            "content": "<tool_call>1+1</tool_call><tool_response>2</tool_response>",
        },
    ]
    prompt = encode_prompt(tk, chat.messages[:3])
    assert model.shown[: len(prompt)] == prompt


def test_a_stopped_answer_is_remembered_as_far_as_it_was_read(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    chat = Chat(
        Engine(scripted(tiny_model, tk, "abcdef", IM_END)),  # type: ignore[arg-type]
        tk,
        GREEDY,
    )
    events = chat.say("hi")
    read = next(events).text + next(events).text
    events.close()  # type: ignore[attr-defined]
    assert chat.messages[-1] == {"role": "assistant", "content": read}


def test_a_long_chat_drops_turns_and_says_how_many(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    answer_ids = tokens(tk, "The old fox went over the stone.", IM_END)
    model = Scripted(tiny_model.vocab_size, answer_ids * 20, CONTEXT)
    chat = Chat(Engine(model), tk, GREEDY)  # type: ignore[arg-type]
    dropped = []
    for _ in range(20):
        assert text_of(chat.say("Where did the old fox go?")) == "The old fox went over the stone."
        dropped.append(chat.dropped)
    assert dropped[0] == 0
    assert dropped == sorted(dropped)
    assert dropped[-1] > 10
    assert not chat.cut
    assert len(chat.messages) == 40


def test_a_message_longer_than_the_context_is_answered(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    chat = Chat(
        Engine(scripted(tiny_model, tk, "Yes.", IM_END)),  # type: ignore[arg-type]
        tk,
        GREEDY,
    )
    assert text_of(chat.say("漢字" * 500)) == "Yes."
    assert chat.cut


def test_any_model_can_be_talked_to_at_any_length(
    tiny_model: ModelConfig, random_model: object, tk: Tokenizer
) -> None:
    model = Transformer(tiny_model).init_weights(0)
    chat = Chat(Engine(Decoder(model, 1)), tk, GREEDY.model_copy(update={"temperature": 1.0}))
    for text in ("hi", "x" * 300, "", "12*34?", "😀" * 40):
        for event in chat.say(text):
            assert event.kind in ("text", "tool")
    assert [m["role"] for m in chat.messages] == ["user", "assistant"] * 5
