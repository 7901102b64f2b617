"""The questions of reinforcement learning, each a pure function of a seed and an index.

Without a reward of the user's own they are of the kinds that the exam asks, but only those that
training may show (`data/starter/holdout.py`): each comes with the rule that grades an answer. With
an own reward they are conversations of the run's data, or prompts that the reward's file lists.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from firstwords.data.starter import grading
from firstwords.data.starter.conversations import as_messages
from firstwords.data.starter.exam import CATEGORIES
from firstwords.data.starter.grading import Rule
from firstwords.data.starter.holdout import open_prompt_keys, question_key
from firstwords.data.starter.rng import choose, randint, seeded_rng
from firstwords.tokenizer.chat_format import Messages


class Question(NamedTuple):
    """A conversation that ends with the user's question. `rule` and `expected` grade an answer; an
    own reward needs neither."""

    kind: str
    messages: Messages
    rule: Rule = "answers"
    expected: tuple[str, ...] = ()


# Draws question `index` of a run's endless sequence.
Draw = Callable[[int], Question]


def graded_questions(seed: int, kinds: Sequence[str]) -> Draw:
    """Return the questions of these categories of the exam, in turn, on the side of training."""

    def draw(index: int) -> Question:
        kind = kinds[index % len(kinds)]
        rng = seeded_rng(seed, f"rl {kind}", index)
        while True:
            turns = CATEGORIES[kind].make_example(rng)
            asked = {question_key(turn.question) for turn in turns}
            if turns[-1].expected and asked.isdisjoint(open_prompt_keys()):
                messages = [dict(message) for message in as_messages(turns)[:-1]]
                return Question(kind, messages, turns[-1].rule, turns[-1].expected)

    return draw


def conversation_questions(seed: int, conversations: Sequence[Messages]) -> Draw:
    """Return random conversations, each up to a random one of its questions."""

    def draw(index: int) -> Question:
        rng = seeded_rng(seed, "rl conversation", index)
        messages = choose(rng, conversations)
        answers = [place for place, one in enumerate(messages) if one["role"] == "assistant"]
        return Question("own", messages[: answers[randint(rng, 0, len(answers) - 1)]])

    return draw


def prompt_questions(seed: int, prompts: Sequence[str]) -> Draw:
    """Return random ones of these prompts."""

    def draw(index: int) -> Question:
        prompt = choose(seeded_rng(seed, "rl prompt", index), prompts)
        return Question("own", [{"role": "user", "content": prompt}])

    return draw


def grade(question: Question, answer: str) -> float:
    """Return 1 if the answer, without its tool calls, is right, else 0."""
    return float(grading.is_right(question.rule, question.expected, answer))
