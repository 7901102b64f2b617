"""Batched answers equal the answers one by one."""

import itertools
from collections.abc import Callable

import pytest
from fakes import TableDecoder

from firstwords.inference.batch import answer_all
from firstwords.inference.chat import stream_answer
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt

MakeModel = Callable[..., Transformer]
QUESTIONS = ["Hi", "How are you?", "What is a fox?", "12", "The old river said", "x" * 9, "Why?"]


def prompts(tokenizer: Tokenizer) -> list[list[int]]:
    return [encode_prompt(tokenizer, [{"role": "user", "content": q}]) for q in QUESTIONS]


@pytest.mark.parametrize("size", [1, 3, 64])
def test_batched_answers_equal_single_answers(
    size: int,
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: MakeModel,
) -> None:
    model = random_model(tiny_model)
    counted: list[int] = []
    engine = Engine(Decoder(model, size))
    sampling = GREEDY.replace(max_tokens=12)
    answers = answer_all(
        engine, tiny_tokenizer, prompts(tiny_tokenizer), sampling, on_done=counted.append
    )
    for prompt, answer in zip(prompts(tiny_tokenizer), answers, strict=True):
        alone = list(stream_answer(Engine(Decoder(model, 1)), tiny_tokenizer, prompt, sampling))
        assert answer.content == "".join(event.content for event in alone)
    assert sum(counted) == len(QUESTIONS)


def test_answers_end_when_the_context_is_full(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    long = [prompt * 8 for prompt in prompts(tiny_tokenizer)]
    room = tiny_model.max_seq_len - 6
    engine = Engine(Decoder(model, 3))
    answers = answer_all(engine, tiny_tokenizer, [p[:room] for p in long], GREEDY)
    assert len(answers) == len(long)


SHORT = GREEDY.replace(max_tokens=20)


def chain(*tokens: int) -> dict[int, int]:
    return dict(itertools.pairwise(tokens))


def test_a_call_is_computed_and_its_response_fed_to_the_model(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    special, (ten,) = tiny_tokenizer.special, tiny_tokenizer.encode("7")
    start, end = special(TOOL_CALL), special(TOOL_CALL_END)
    response_end = special("</tool_response>")
    after = chain(40, start, ten, end) | chain(response_end, special(IM_END))
    model = TableDecoder(tiny_model.vocab_size, after)
    (answer,) = answer_all(Engine(model), tiny_tokenizer, [[40]], SHORT)  # type: ignore[arg-type]
    assert answer.content == "<tool_call>7</tool_call><tool_response>7</tool_response>"
    assert (answer.text, answer.broken_call) == ("", False)
    assert model.fed[-2:] == [ten, response_end]


def test_an_unfinished_or_invalid_call_is_broken(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    special, (word,) = tiny_tokenizer.special, tiny_tokenizer.encode("x")
    start, end = special(TOOL_CALL), special(TOOL_CALL_END)
    endless = TableDecoder(tiny_model.vocab_size, chain(40, start, word) | {word: word})
    invalid = TableDecoder(
        tiny_model.vocab_size,
        chain(40, start, word, end) | {special("</tool_response>"): special(IM_END)},
    )
    for model in (endless, invalid):
        (answer,) = answer_all(Engine(model), tiny_tokenizer, [[40]], SHORT)  # type: ignore[arg-type]
        assert answer.broken_call


def test_an_answer_ends_at_a_stop_string(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    (a,), (line,) = tiny_tokenizer.encode("a"), tiny_tokenizer.encode("\n")
    model = TableDecoder(tiny_model.vocab_size, chain(40, a, line, a))
    sampling = GREEDY.replace(stop=("\n",))
    (answer,) = answer_all(Engine(model), tiny_tokenizer, [[40]], sampling)  # type: ignore[arg-type]
    assert (answer.text, answer.content) == ("a", "a")
