"""Taking the exam: what counts, the chance line, few-shot prompts, and how it is told."""

import json
from collections.abc import Callable

import pytest

from firstwords.data.starter import exam as questions
from firstwords.evaluation import exam, stage
from firstwords.inference.batch import Answer
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import Tokenizer

MakeModel = Callable[..., Transformer]
FEW = 4


def said(text: str) -> Answer:
    return Answer(text, text, broken_call=False)


def test_the_curriculums_own_answers_get_everything() -> None:
    items = exam.questions("sft", FEW)
    answers = [said(item.answer.rpartition("</tool_response>")[2]) for item in items]
    taken = exam.marked(items, answers)
    assert taken.task["score"] == 1
    assert taken.wrong == []
    assert set(taken.task["categories"]) == set(questions.CATEGORIES)
    assert taken.task["n"] == FEW * len(questions.CATEGORIES)


def test_refusing_everything_gets_half_of_the_unknown_and_nothing_else() -> None:
    items = exam.questions("sft", 200)
    scores = exam.marked(items, [said(exam.REFUSAL)] * len(items)).task["categories"]
    assert 0.4 <= scores["unknown"]["score"] <= 0.6
    assert all(score["score"] == 0 for name, score in scores.items() if name != "unknown")


def test_no_constant_answer_beats_the_chance_line() -> None:
    items = exam.questions("sft", 30)
    for constant in ("one", "Yes.", "Africa", "The answer is A.", "I am Firstwords."):
        task = exam.marked(items, [said(constant)] * len(items)).task
        for name, score in task["categories"].items():
            assert score["score"] <= score["chance"] + 1e-9, name


def test_wrong_and_empty_answers_and_broken_calls_are_kept_and_counted() -> None:
    items = exam.questions("sft", 1)
    answers = [said(""), Answer("x", "x", broken_call=True), *[said("x")] * (len(items) - 2)]
    taken = exam.marked(items, answers)
    assert (taken.task["empty"], taken.task["broken_calls"]) == (1, 1)
    assert len(taken.wrong) == len(items)
    first = taken.wrong[0]
    assert first["messages"] == list(items[0].messages)
    assert (first["expected"], first["answer"]) == (items[0].answer, "")


def test_the_base_model_is_asked_in_plain_text_with_examples(tiny_tokenizer: Tokenizer) -> None:
    item = next(item for item in exam.questions("base", FEW) if item.category == "spelling")
    text = tiny_tokenizer.decode(exam.few_shot(tiny_tokenizer, item, 2000)[1:])
    lines = text.split("\n")
    assert len(lines) == 8
    assert lines[-2:] == [item.messages[-1]["content"], ""]
    assert [tuple(lines[i : i + 2]) for i in (0, 2, 4)] == questions.examples("spelling")


@pytest.mark.parametrize("context", [48, 96, 256])
def test_examples_leave_room_for_the_answer(context: int, tiny_tokenizer: Tokenizer) -> None:
    for item in exam.questions("base", FEW):
        ids = exam.few_shot(tiny_tokenizer, item, context)
        assert len(ids) <= context - context // 4


def test_only_what_makes_sense_as_text_is_asked_of_the_base_model() -> None:
    asked = {item.category for item in exam.questions("base", 1)}
    assert asked == {name for name, c in questions.CATEGORIES.items() if c.few_shot}
    assert "memory" not in asked


@pytest.mark.parametrize("name", ["base", "sft"])
def test_a_model_takes_it_and_the_result_is_told(
    name: str, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    done: list[int] = []
    taken = exam.take(random_model(tiny_model), tiny_tokenizer, name, 2, done.append)  # type: ignore[arg-type]
    assert sum(done) == taken.task["n"]
    json.dumps(taken.task)
    told = stage.describe({"run": "r", "stage": name, "tasks": {"exam": taken.task}})
    assert "spelling" in told
    assert "the whole exam" in told
