"""The exam of the starter curriculum; `data/starter/exam.py` has its questions and their rules.

The pretrained model has seen no conversations. It gets the categories that make sense as plain
text, after some examples.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

from firstwords.data.starter import exam
from firstwords.data.starter.exam import PER_CATEGORY, ExamItem
from firstwords.data.starter.personality import Personality
from firstwords.evaluation.benchmark import Benchmark, BenchmarkCategory, GenerativeItem
from firstwords.evaluation.eval_data import EvalData

MAX_TOKENS = 96
REFUSAL = "I do not know."


def load_categories(
    data: EvalData, chat: bool, limit: int, personality: Personality | None = None
) -> dict[str, BenchmarkCategory]:
    """Return the exam's categories; without `chat` those that make sense as plain text."""
    count = limit or PER_CATEGORY
    questions = {
        name: exam.personal_items(name, count, personality)
        for name, category in exam.CATEGORIES.items()
        if chat or category.few_shot
    }
    return {
        name: BenchmarkCategory(
            exam.CATEGORIES[name].title,
            constant_answer_score(name, count, personality),
            [chat_item(q) if chat else text_item(q) for q in items],
            exam.CATEGORIES[name].criterion,
        )
        for name, items in questions.items()
    }


def exam_for(personality: Personality | None) -> Benchmark:
    """Return the exam as a model with this personality is asked."""
    return replace(EXAM, load_categories=partial(load_categories, personality=personality))


def chat_item(question: ExamItem) -> GenerativeItem:
    """Return a question as a conversation."""
    is_correct = partial(exam.is_right, question)
    return GenerativeItem(
        list(question.messages), is_correct, question.answer, max_tokens=MAX_TOKENS
    )


def text_item(question: ExamItem) -> GenerativeItem:
    """Return a question as plain text, after examples with answers; each on a line of its own."""
    is_correct = partial(exam.is_right, question)
    shots = [f"{ask}\n{answer}\n" for ask, answer in exam.examples(question.category)]
    prompt = question.messages[-1]["content"] + "\n"
    return GenerativeItem(prompt, is_correct, question.answer, shots, ("\n",), MAX_TOKENS)


@cache
def constant_answer_score(
    category: str, per_category: int, personality: Personality | None = None
) -> float:
    """Return the score of the best answer that is the same for every question: the chance line
    where there are no options to choose from."""
    questions = exam.personal_items(category, per_category, personality)
    constants = dict.fromkeys(answer for q in questions for answer in _short_answers(q))
    return max(
        sum(exam.is_right(question, constant) for question in questions) / len(questions)
        for constant in [*constants, REFUSAL]
    )


def _short_answers(question: ExamItem) -> Iterator[str]:
    yield from question.expected[:6]
    yield question.answer.rpartition("</tool_response>")[2]


EXAM = Benchmark("exam", "exam of the starter curriculum", load_categories)
