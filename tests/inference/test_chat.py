"""Chat: tool calls, multi-byte characters, prompts that fit the context. The model is scripted."""

from collections.abc import Iterable

import pytest
from fakes import ScriptedDecoder

from firstwords.inference.chat import Chat, fit_prompt, stream_answer
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.inference.stream import AnswerEvent
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import (
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
from firstwords.tokenizer.chat_format import encode_prompt

CONTEXT = 160


@pytest.fixture
def tk(tiny_tokenizer: Tokenizer) -> Tokenizer:
    return tiny_tokenizer


def tokens(tokenizer: Tokenizer, *parts: str) -> list[int]:
    """Encode special tokens by their names, anything else as text."""
    ids: list[int] = []
    for part in parts:
        special = part in SPECIAL_TOKENS
        ids += [tokenizer.special(part)] if special else tokenizer.encode(part)
    return ids


def scripted(config: ModelConfig, tokenizer: Tokenizer, *parts: str) -> ScriptedDecoder:
    return ScriptedDecoder(config.vocab_size, tokens(tokenizer, *parts), CONTEXT)


def events_of(
    model: ScriptedDecoder, tokenizer: Tokenizer, max_tokens: int = 100
) -> list[AnswerEvent]:
    engine = Engine(model)  # type: ignore[arg-type]
    prompt = encode_prompt(tokenizer, [{"role": "user", "content": "hi"}])
    sampling = GREEDY.replace(max_tokens=max_tokens)
    return list(stream_answer(engine, tokenizer, prompt, sampling))


def text_of(events: Iterable[AnswerEvent]) -> str:
    return "".join(event.text for event in events if event.kind == "text")


# --- an answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [IM_END, END_OF_TEXT, IM_START])
def test_an_answer_ends_at_an_end_token(end: str, tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(tiny_model, tk, "Hello fox!", end, "never shown")
    assert text_of(events_of(model, tk)) == "Hello fox!"


def test_a_call_is_computed_and_its_response_forced(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(
        tiny_model, tk, "Let me see: ", TOOL_CALL, "12*34", TOOL_CALL_END, " done.", IM_END
    )
    events = events_of(model, tk)
    assert AnswerEvent("tool", "12*34", "408") in events
    assert text_of(events) == "Let me see:  done."
    call = tokens(tk, TOOL_CALL, "12*34", TOOL_CALL_END, TOOL_RESPONSE, "408", TOOL_RESPONSE_END)
    start = model.fed.index(tk.special(TOOL_CALL))
    assert model.fed[start : start + len(call)] == call
    assert "".join(event.content for event in events) == (
        "Let me see: <tool_call>12*34</tool_call><tool_response>408</tool_response> done."
    )


def test_an_invalid_call_returns_an_error_and_the_answer_continues(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    model = scripted(tiny_model, tk, TOOL_CALL, "__import__('os')", TOOL_CALL_END, "Well.", IM_END)
    events = events_of(model, tk)
    assert events[0] == AnswerEvent("tool", "__import__('os')", "error")
    assert text_of(events) == "Well."


def test_a_comparison_in_a_call_does_not_end_the_chat(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    model = scripted(tiny_model, tk, TOOL_CALL, "1<2", TOOL_CALL_END, "Well.", IM_END)
    assert text_of(events_of(model, tk)) == "Well."


def test_an_unfinished_call_is_left_out(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(tiny_model, tk, "Let me see", TOOL_CALL, "1" * 200)
    events = events_of(model, tk, max_tokens=20)
    assert {event.kind for event in events} == {"text"}
    assert text_of(events) == "Let me see"


def test_two_calls_are_both_computed(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(
        tiny_model,
        tk,
        *(TOOL_CALL, "2+2", TOOL_CALL_END, TOOL_CALL, "3*3", TOOL_CALL_END, IM_END),
    )
    assert [e.result for e in events_of(model, tk)] == ["4", "9"]


def test_stray_tool_markup_is_not_shown(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(
        tiny_model, tk, "a", TOOL_RESPONSE, "b", TOOL_RESPONSE_END, TOOL_CALL_END, "c", IM_END
    )
    assert text_of(events_of(model, tk)) == "abc"


def test_a_character_of_several_tokens_is_shown_when_complete(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    text = "漢字 and 😀!"
    assert len(tk.encode("😀")) > 1
    events = events_of(scripted(tiny_model, tk, text, IM_END), tk)
    assert text_of(events) == text
    assert all("\ufffd" not in event.text for event in events)


def test_an_incomplete_last_character_is_replaced(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    half = tk.encode("😀")[:-1]
    model = ScriptedDecoder(
        tiny_model.vocab_size, [*tk.encode("ab"), *half, tk.special(IM_END)], CONTEXT
    )
    assert text_of(events_of(model, tk)) == "ab\ufffd"


# --- the prompt -----------------------------------------------------------------------------------


def turns(n: int) -> list[dict[str, str]]:
    messages = []
    for i in range(n):
        messages += [
            {"role": "user", "content": f"Question {i}?"},
            {"role": "assistant", "content": f"Answer {i}."},
        ]
    return [*messages, {"role": "user", "content": "And now?"}]


def test_a_short_conversation_is_not_shortened(tk: Tokenizer) -> None:
    assert fit_prompt(tk, turns(1), 10_000) == (encode_prompt(tk, turns(1)), 0, False)


@pytest.mark.parametrize("context", [40, 60, 100, 200, 256])
def test_the_oldest_turns_are_dropped_to_leave_room_for_an_answer(
    context: int, tk: Tokenizer
) -> None:
    messages = turns(20)
    ids, dropped, truncated = fit_prompt(tk, messages, context)
    assert len(ids) <= context - min(64, context // 4)
    assert ids == encode_prompt(tk, messages[dropped:])
    assert 0 < dropped < len(messages)
    assert dropped % 2 == 0
    assert not truncated
    one_turn_more = encode_prompt(tk, messages[dropped - 2 :])
    assert len(one_turn_more) > context - min(64, context // 4), "no more than needed is dropped"


def test_dropped_turns_are_not_encoded(tk: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each message of a long conversation would take longer than the one before."""
    encode, n_chars = tk.encode, []
    monkeypatch.setattr(tk, "encode", lambda text: n_chars.append(len(text)) or encode(text))
    totals = []
    for n in (50, 200):
        n_chars.clear()
        fit_prompt(tk, turns(n), 100)
        totals.append(sum(n_chars))
    assert totals[0] <= totals[1] <= totals[0] + 20  # the later numbers are longer


def test_the_system_message_is_kept(tk: Tokenizer) -> None:
    system = {"role": "system", "content": "Be brief."}
    ids, dropped, _ = fit_prompt(tk, [system, *turns(20)], 100)
    assert ids == encode_prompt(tk, [system, *turns(20)[dropped:]])
    assert dropped > 0


def test_the_end_of_a_too_long_message_is_kept(tk: Tokenizer) -> None:
    long = "word " * 500 + "What is the last word?"
    ids, dropped, truncated = fit_prompt(tk, [*turns(2), {"role": "user", "content": long}], 100)
    assert truncated
    assert dropped == 5
    assert len(ids) == 100 - 25
    text = tk.decode(ids)
    assert text.startswith("<|im_start|>user\n")
    assert text.count(IM_START) == 2
    assert text.endswith("What is the last word?<|im_end|>\n<|im_start|>assistant\n")


def test_a_begun_answer_stays_open(tk: Tokenizer) -> None:
    begun = {"role": "assistant", "content": "I think"}
    ids, dropped, truncated = fit_prompt(tk, [*turns(1), begun], 10_000)
    assert tk.decode(ids).endswith("And now?<|im_end|>\n<|im_start|>assistant\nI think")
    assert (dropped, truncated) == (0, False)
    assert ids[: -len(tk.encode("I think"))] == encode_prompt(tk, turns(1))
    _, dropped, truncated = fit_prompt(tk, [*turns(20), begun], 100)
    assert 0 < dropped < 40
    assert not truncated


@pytest.mark.parametrize("n_question", [0, 500])
def test_the_end_of_a_too_long_begun_answer_is_kept(n_question: int, tk: Tokenizer) -> None:
    question = {"role": "user", "content": "why " * n_question + "Tell me more."}
    begun = {"role": "assistant", "content": "word " * 500 + "and so it ends"}
    ids, dropped, truncated = fit_prompt(tk, [*turns(2)[:-1], question, begun], 100)
    assert truncated
    assert dropped == 4
    assert len(ids) <= 100 - 25
    text = tk.decode(ids)
    assert text.startswith("<|im_start|>user\n")
    assert "Tell me more.<|im_end|>\n<|im_start|>assistant\n" in text
    assert text.endswith("and so it ends")


def test_a_too_long_system_message_does_not_garble_the_prompt(
    tk: Tokenizer,
) -> None:
    system = {"role": "system", "content": "Be brief. " * 100}
    ids, _, _ = fit_prompt(tk, [system, *turns(0)], 100)
    assert tk.decode(ids).count(IM_START) == 2


# --- a conversation -------------------------------------------------------------------------------


def test_a_chat_keeps_its_history(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    model = scripted(tiny_model, tk, "One.", IM_END, TOOL_CALL, "1+1", TOOL_CALL_END, IM_END)
    chat = Chat(Engine(model), tk, GREEDY)  # type: ignore[arg-type]
    assert text_of(chat.send("first")) == "One."
    list(chat.send("second"))
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
    assert model.fed[: len(prompt)] == prompt


def test_a_stopped_answer_is_kept_as_far_as_it_was_read(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    chat = Chat(
        Engine(scripted(tiny_model, tk, "abcdef", IM_END)),  # type: ignore[arg-type]
        tk,
        GREEDY,
    )
    events = chat.send("hi")
    read = next(events).text + next(events).text
    events.close()  # type: ignore[attr-defined]
    assert chat.messages[-1] == {"role": "assistant", "content": read}


def test_a_long_chat_counts_its_dropped_messages(tiny_model: ModelConfig, tk: Tokenizer) -> None:
    answer_ids = tokens(tk, "The old fox went over the stone.", IM_END)
    model = ScriptedDecoder(tiny_model.vocab_size, answer_ids * 20, CONTEXT)
    chat = Chat(Engine(model), tk, GREEDY)  # type: ignore[arg-type]
    dropped = []
    for _ in range(20):
        assert text_of(chat.send("Where did the old fox go?")) == "The old fox went over the stone."
        dropped.append(chat.n_dropped)
    assert dropped[0] == 0
    assert dropped == sorted(dropped)
    assert dropped[-1] > 10
    assert not chat.truncated
    assert len(chat.messages) == 40


def test_a_message_longer_than_the_context_is_answered(
    tiny_model: ModelConfig, tk: Tokenizer
) -> None:
    chat = Chat(
        Engine(scripted(tiny_model, tk, "Yes.", IM_END)),  # type: ignore[arg-type]
        tk,
        GREEDY,
    )
    assert text_of(chat.send("漢字" * 500)) == "Yes."
    assert chat.truncated


def test_an_untrained_model_answers_messages_of_any_length(
    tiny_model: ModelConfig, random_model: object, tk: Tokenizer
) -> None:
    model = Transformer(tiny_model).init_weights(0)
    chat = Chat(Engine(Decoder(model, 1)), tk, GREEDY.replace(temperature=1.0))
    for text in ("hi", "x" * 300, "", "12*34?", "😀" * 40):
        for event in chat.send(text):
            assert event.kind in ("text", "tool")
    assert [m["role"] for m in chat.messages] == ["user", "assistant"] * 5
