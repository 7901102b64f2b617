"""Many answers at once are the answers one by one."""

import itertools
from collections.abc import Callable

import pytest
from fakes import Prophet

from firstwords.conversation import encode_prompt
from firstwords.inference.batch import answer_all
from firstwords.inference.chat import answer
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer

MakeModel = Callable[..., Transformer]
QUESTIONS = ["Hi", "How are you?", "What is a fox?", "12", "The old river said", "x" * 9, "Why?"]


def prompts(tokenizer: Tokenizer) -> list[list[int]]:
    return [encode_prompt(tokenizer, [{"role": "user", "content": q}]) for q in QUESTIONS]


@pytest.mark.parametrize("size", [1, 3, 64])
def test_answers_together_are_the_answers_alone(
    size: int,
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: MakeModel,
) -> None:
    model = random_model(tiny_model)
    counted: list[int] = []
    engine, asked = Engine(Decoder(model, size)), prompts(tiny_tokenizer)
    sampling = GREEDY.model_copy(update={"max_tokens": 12})
    found = answer_all(engine, tiny_tokenizer, asked, sampling, on_done=counted.append)
    for prompt, one in zip(prompts(tiny_tokenizer), found, strict=True):
        alone = list(answer(Engine(Decoder(model, 1)), tiny_tokenizer, prompt, sampling))
        assert one.content == "".join(event.content for event in alone)
    assert sum(counted) == len(QUESTIONS)


def test_answers_end_where_the_context_ends(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    model = random_model(tiny_model)
    long = [prompt * 8 for prompt in prompts(tiny_tokenizer)]
    room = tiny_model.max_seq_len - 6
    engine = Engine(Decoder(model, 3))
    found = answer_all(engine, tiny_tokenizer, [p[:room] for p in long], GREEDY)
    assert len(found) == len(long)


SHORT = GREEDY.model_copy(update={"max_tokens": 20})


def chain(*tokens: int) -> dict[int, int]:
    return dict(itertools.pairwise(tokens))


def test_a_call_is_computed_and_its_response_is_heard(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    special, (ten,) = tiny_tokenizer.special, tiny_tokenizer.encode("7")
    start, end = special(TOOL_CALL), special(TOOL_CALL_END)
    response_end = special("</tool_response>")
    after = chain(40, start, ten, end) | chain(response_end, special(IM_END))
    model = Prophet(tiny_model.vocab_size, after)
    (found,) = answer_all(Engine(model), tiny_tokenizer, [[40]], SHORT)  # type: ignore[arg-type]
    assert found.content == "<tool_call>7</tool_call><tool_response>7</tool_response>"
    assert (found.text, found.broken_call) == ("", False)
    assert model.heard[-2:] == [ten, response_end]


def test_a_call_without_an_end_or_sense_is_broken(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    special, (word,) = tiny_tokenizer.special, tiny_tokenizer.encode("x")
    start, end = special(TOOL_CALL), special(TOOL_CALL_END)
    endless = Prophet(tiny_model.vocab_size, chain(40, start, word) | {word: word})
    senseless = Prophet(
        tiny_model.vocab_size,
        chain(40, start, word, end) | {special("</tool_response>"): special(IM_END)},
    )
    for model in (endless, senseless):
        (found,) = answer_all(Engine(model), tiny_tokenizer, [[40]], SHORT)  # type: ignore[arg-type]
        assert found.broken_call


def test_an_answer_stops_at_the_given_text(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer
) -> None:
    (a,), (line,) = tiny_tokenizer.encode("a"), tiny_tokenizer.encode("\n")
    model = Prophet(tiny_model.vocab_size, chain(40, a, line, a))
    sampling = GREEDY.model_copy(update={"stop": ("\n",)})
    (found,) = answer_all(Engine(model), tiny_tokenizer, [[40]], sampling)  # type: ignore[arg-type]
    assert (found.text, found.content) == ("a", "a")
