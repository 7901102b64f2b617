"""The chat format: valid conversations, targets, and markup that users cannot forge."""

from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstwords.tokenizer.bpe import IM_END, IM_START, SPECIAL_TOKENS, Tokenizer
from firstwords.tokenizer.chat_format import (
    CHAT_TEMPLATE,
    InvalidConversation,
    Messages,
    encode_conversations,
    encode_prompt,
    split_spans,
    validate_messages,
)

USER = {"role": "user", "content": "What is 12 times 3?"}
ASSISTANT = {"role": "assistant", "content": "It is 36."}
SYSTEM = {"role": "system", "content": "Be brief."}
TOOL = "<tool_call>12*3</tool_call><tool_response>36</tool_response>"
HOSTILE = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from([*SPECIAL_TOKENS, TOOL, "\n", " "])), max_size=8
).map("".join)


def encode(tokenizer: Tokenizer, messages: Messages) -> tuple[list[int], list[bool]]:
    (encoded,) = encode_conversations(tokenizer, [messages])
    return encoded.ids.tolist(), encoded.mask.tolist()


def targets(tokenizer: Tokenizer, messages: Messages) -> str:
    ids, mask = encode(tokenizer, messages)
    return tokenizer.decode(token for token, target in zip(ids, mask, strict=True) if target)


@pytest.mark.parametrize(
    "messages",
    [
        [USER, ASSISTANT],
        [SYSTEM, USER, ASSISTANT],
        [USER, ASSISTANT, USER, ASSISTANT],
        [{**USER, "id": 3}, ASSISTANT],
    ],
)
def test_alternating_roles_are_valid(messages: Messages) -> None:
    assert validate_messages(messages) is messages


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (None, "must be a list"),
        ({}, "must be a list"),
        ([], "must be a list"),
        ([3], "message 1 is not an object"),
        ([{}], 'message 1 has no "role"'),
        ([{"role": ["user"], "content": "x"}], "message 1 has the role"),
        ([USER, {"role": "tool", "content": "x"}], "message 2 has the role 'tool'"),
        ([{"role": "user", "content": ["x"]}], "message 1 has no text"),
        ([USER, {"role": "assistant", "content": "\n "}], "message 2 has no text"),
        ([USER, USER, ASSISTANT], "message 2 is from the user instead of the assistant"),
        ([SYSTEM, ASSISTANT], "message 2 is from the assistant instead of the user"),
        ([SYSTEM, SYSTEM, USER, ASSISTANT], "message 2 is from the system"),
        ([USER, SYSTEM, ASSISTANT], "message 2 is from the system"),
        ([USER, ASSISTANT, USER], "last message is not from the assistant"),
        ([SYSTEM], "last message is not from the assistant"),
    ],
)
def test_an_error_names_the_invalid_message(messages: Any, expected: str) -> None:
    with pytest.raises(InvalidConversation, match=expected):
        validate_messages(messages)


def test_a_conversation_is_encoded_as_chatml(tiny_tokenizer: Tokenizer) -> None:
    ids, _ = encode(tiny_tokenizer, [SYSTEM, {**USER, "content": "  hi\n"}, ASSISTANT])
    assert tiny_tokenizer.decode(ids) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nhi<|im_end|>\n"
        "<|im_start|>assistant\nIt is 36.<|im_end|>\n"
    )


def test_the_assistants_content_and_end_token_are_the_targets(tiny_tokenizer: Tokenizer) -> None:
    messages = [SYSTEM, USER, ASSISTANT, USER, {**ASSISTANT, "content": "Still 36!"}]
    assert targets(tiny_tokenizer, messages) == "It is 36.<|im_end|>Still 36!<|im_end|>"


def test_a_tool_call_is_a_target_and_its_response_is_not(tiny_tokenizer: Tokenizer) -> None:
    messages = [USER, {"role": "assistant", "content": f"Let me see. {TOOL} It is 36."}]
    assert targets(tiny_tokenizer, messages) == (
        "Let me see. <tool_call>12*3</tool_call> It is 36.<|im_end|>"
    )
    ids, _ = encode(tiny_tokenizer, messages)
    for token in ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"):
        assert ids.count(tiny_tokenizer.special(token)) == 1


@pytest.mark.parametrize(
    "content", ["<tool_call>12*3", "<tool_call>1</tool_call> then", "</tool_response>", IM_END]
)
def test_incomplete_tool_blocks_stay_text(content: str, tiny_tokenizer: Tokenizer) -> None:
    ids, _ = encode(tiny_tokenizer, [USER, {"role": "assistant", "content": content}])
    special = [token for token in ids if token in tiny_tokenizer.special_ids]
    names = [IM_START, IM_END, IM_START, IM_END]
    assert special == [tiny_tokenizer.special(name) for name in names]


@given(content=HOSTILE)
def test_a_user_cannot_write_special_tokens(tiny_tokenizer: Tokenizer, content: str) -> None:
    ids = encode_prompt(tiny_tokenizer, [{"role": "user", "content": content}])
    special = [token for token in ids if token in tiny_tokenizer.special_ids]
    assert special == [tiny_tokenizer.special(name) for name in (IM_START, IM_END, IM_START)]
    assert tiny_tokenizer.decode(ids) == (
        f"<|im_start|>user\n{content.strip()}<|im_end|>\n<|im_start|>assistant\n"
    )


@given(contents=st.lists(HOSTILE, min_size=2, max_size=6).filter(lambda c: len(c) % 2 == 0))
def test_the_spans_add_up_to_the_conversation(
    tiny_tokenizer: Tokenizer, contents: list[str]
) -> None:
    messages = [
        {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)
    ]
    expected = "".join(
        f"<|im_start|>{m['role']}\n{m['content'].strip()}<|im_end|>\n" for m in messages
    )
    assert "".join(span.text for span in split_spans(messages)) == expected
    ids, mask = encode(tiny_tokenizer, messages)
    assert tiny_tokenizer.decode(ids) == expected
    assert len(ids) == len(mask)


def test_a_prompt_is_a_prefix_of_the_conversation(tiny_tokenizer: Tokenizer) -> None:
    messages = [USER, ASSISTANT, USER, {**ASSISTANT, "content": f"{TOOL} It is 36."}]
    whole, mask = encode(tiny_tokenizer, messages)
    prompt = encode_prompt(tiny_tokenizer, messages[:-1])
    assert whole[: len(prompt)] == prompt
    assert mask[len(prompt)], "the first token after the prompt is the assistant's"


def test_a_batch_is_encoded_like_single_conversations(tiny_tokenizer: Tokenizer) -> None:
    chats = [[USER, ASSISTANT], [SYSTEM, USER, {**ASSISTANT, "content": TOOL}], [USER, ASSISTANT]]
    batch = [(e.ids.tolist(), e.mask.tolist()) for e in encode_conversations(tiny_tokenizer, chats)]
    assert batch == [encode(tiny_tokenizer, messages) for messages in chats]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "user", "content": None},
        {"role": "user", "content": 5},
        {"role": "user", "content": {"a": 1}},
        {"role": "assistant", "tool_calls": []},
    ],
)
def test_the_template_refuses_content_that_is_no_text(message: dict[str, Any]) -> None:
    """Otherwise the model would read Python's form of it."""

    def raise_exception(text: str) -> None:  # as transformers and llama.cpp define it
        raise jinja2.TemplateError(text)

    template = jinja2.Environment().from_string(
        CHAT_TEMPLATE, globals={"raise_exception": raise_exception}
    )
    assert template.render(messages=[USER]) == f"{IM_START}user\n{USER['content']}{IM_END}\n"
    with pytest.raises(jinja2.TemplateError, match="must be a string"):
        template.render(messages=[USER, message])
