"""A personality: the name, the owner and some sentences that the model has for itself.

The curriculum's conversations are generated as ever, and then speak with the personality: its name
stands for "Firstwords", its own answers for those about itself. Some conversations are about it
alone. All of this is a pure function of the seed, the index and the personality.
"""

import re
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from firstwords.common.errors import UserError
from firstwords.common.schema import FrozenModel, read_document
from firstwords.data.starter.everyday.typed import all_ways, draw_style, is_exam_only, type_out
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.small_talk import identity_turn
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import fill_template, join_list, make_answer, make_sentence
from firstwords.data.starter.turn import Turn

DEFAULT_NAME = "Firstwords"
MAKER_KEY = "your own machine"  # what the exam expects of an answer to who made the model
# Share of the conversations that are about the personality alone.
PERSONALITY_FRACTION = 0.06
MAX_NAME, MAX_THING, MAX_SENTENCE = 24, 40, 120  # characters
MAX_SENTENCES, MAX_LIKES = 6, 8
MAX_TRIES = 20  # to find a question that is not the exam's
_MARKS = "<>{}[]|\\\n\r\t"  # of templates, and of what separates messages


def _check(text: str, longest: int) -> str:
    """Return a text without outer spaces. Raises ValueError if it is empty, long or has marks."""
    text = text.strip()
    if not text:
        raise ValueError("it is empty; write something between the quotation marks")
    if len(text) > longest:
        raise ValueError(f"it has {len(text)} characters; use at most {longest}")
    if found := sorted(set(text) & set(_MARKS)):
        raise ValueError(f"it contains {found[0]!r}; leave that out")
    return text


def _check_name(text: str) -> str:
    text = _check(text, MAX_NAME)
    if not re.fullmatch(r"\w[\w .'-]*", text):
        raise ValueError("use letters, digits, spaces, hyphens and apostrophes")
    return text


def _check_sentence(text: str) -> str:
    text = _check(text, MAX_SENTENCE)
    if not text.endswith((".", "!", "?")):
        raise ValueError("end the sentence with a full stop")
    return text


Name = Annotated[str, AfterValidator(_check_name)]
Sentence = Annotated[str, AfterValidator(_check_sentence)]
Thing = Annotated[str, AfterValidator(lambda text: _check(text, MAX_THING))]


class Personality(FrozenModel):
    """Who the model is. Sentences about itself are in the first person: "I live in a kitchen."."""

    name: Name
    owner: Name | None = None
    about: tuple[Sentence, ...] = Field(default=(), max_length=MAX_SENTENCES)
    about_owner: tuple[Sentence, ...] = Field(default=(), max_length=MAX_SENTENCES)
    likes: tuple[Thing, ...] = Field(default=(), max_length=MAX_LIKES)


def read_personality(path: Path) -> Personality:
    """Read a personality from a TOML file. Raises UserError that names the line and the fix."""
    document = read_document(path, "give a TOML file with the model's name")
    try:
        return Personality.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field, *index = [str(part) for part in first["loc"]] or ["the file"]
        where = f"{field}, number {int(index[0]) + 1}," if index and index[0].isdigit() else field
        line = _line_of(path, field)
        raise UserError(f"{path}{line}: {where} is not valid", _hint(field, first)) from None


def _line_of(path: Path, field: str) -> str:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    found = (n for n, line in enumerate(lines, 1) if re.match(rf"\s*{re.escape(field)}\s*=", line))
    return next((f", line {number}" for number in found), "")


def _hint(field: str, error: ErrorDetails) -> str:
    """Return how to fix what pydantic found wrong with a field."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"leave it out; the fields are {', '.join(Personality.model_fields)}"
    if kind == "missing":
        return f'add a line such as {field} = "Pip"'
    if kind == "too_long":
        return f"it has {context['actual_length']} entries; use at most {context['max_length']}"
    if kind == "tuple_type":
        return f'write a list, such as {field} = ["I live in a kitchen."]'
    if kind == "value_error":
        return str(context["error"])
    return 'write text between quotation marks, such as "Pip"'


def personalize(
    rng: Rng, messages: tuple[dict[str, str], ...], personality: Personality
) -> tuple[dict[str, str], ...]:
    """Return the messages of a conversation of the curriculum with this personality."""
    pattern, topics = _said_by_default(tuple(_topics(personality)))

    def speak(message: dict[str, str]) -> dict[str, str]:
        text = message["content"]
        if message["role"] == "assistant":
            text = pattern.sub(lambda m: own_answer(rng, topics[m[0]], personality), text)
        return message | {"content": with_name(text, personality.name)}

    return tuple(speak(message) for message in messages)


def own_expected(expected: tuple[str, ...], personality: Personality) -> tuple[str, ...]:
    """Return what an answer about the model has to contain with this personality."""
    maker = {MAKER_KEY: personality.owner or MAKER_KEY}
    return tuple(maker.get(key, with_name(key, personality.name)) for key in expected)


def with_name(text: str, name: str) -> str:
    """Return the text with the name for "Firstwords", in the case that it is typed in."""

    def rename(match: re.Match[str]) -> str:
        word = match[0]
        return name.lower() if word.islower() else name.upper() if word.isupper() else name

    return _DEFAULT_NAME_WORD.sub(rename, text)


_DEFAULT_NAME_WORD = re.compile(rf"\b{DEFAULT_NAME}\b", re.IGNORECASE)


def _topics(personality: Personality) -> list[str]:
    """Return what the personality has its own answers about."""
    has = {"who": personality.about, "called": True, "made": personality.owner}
    return [topic for topic, own in {**has, "likes": personality.likes}.items() if own]


@cache
def _said_by_default(topics: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """Return the pattern of the curriculum's own answers about these topics, and their topics."""
    table = table_sections("personality.txt")
    answers = {
        " ".join(way.split()): topic
        for topic in topics
        for line in table[f"said {topic}"]
        for way in all_ways(line)
    }
    longest_first = sorted(answers, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), answers


def own_answer(rng: Rng, topic: str, personality: Personality) -> str:
    """Return the personality's own answer about a topic of `personality.txt`."""
    lines = table_sections("personality.txt")[f"{topic} answer"]
    return _filled(rng, choose(rng, lines), personality)


def _filled(rng: Rng, line: str, personality: Personality) -> str:
    likes = sample(rng, personality.likes, 3)
    slots = {
        "name": personality.name,
        "owner": personality.owner or "",
        "about": _some(rng, personality.about),
        "owner_about": _some(rng, personality.about_owner),
        "likes": join_list(likes),
        "like": choose(rng, likes) if likes else "",
    }
    return " ".join(fill_template(rng, line, slots).split())


def _some(rng: Rng, sentences: tuple[str, ...]) -> str:
    """Return two of the sentences, in their order."""
    chosen = sample(rng, range(len(sentences)), 2)
    return " ".join(sentences[index] for index in sorted(chosen))


def about_itself(rng: Rng, personality: Personality) -> list[Turn]:
    """Return a conversation of one to three questions about the personality."""
    topics = ["identity", "about"] if personality.about else ["identity"]
    if personality.owner:
        topics += ["owner", "owner", "owner about"]
    if personality.likes:
        topics += ["likes", "like"]
    style = draw_style(rng)
    turns = []
    for topic in sample(rng, topics, randint(rng, 1, 3)):
        turn = identity_turn(rng) if topic == "identity" else _own_turn(rng, topic, personality)
        turns.append(turn._replace(question=type_out(rng, style, turn.question)))
    return turns


def _own_turn(rng: Rng, topic: str, personality: Personality) -> Turn:
    """Ask about a topic that the curriculum has no questions about, in no words of the exam.

    If the exam has all of them, it is one of the curriculum's questions.
    """
    table = table_sections("personality.txt")
    thing = choose(rng, personality.likes) if personality.likes else ""
    slots = {"owner": personality.owner or "", "like": thing}
    questions = (make_sentence(rng, table[f"{topic} ask"], slots) for _ in range(MAX_TRIES))
    question = next((text for text in questions if not is_exam_only(text)), None)
    if question is None:
        return identity_turn(rng)
    if topic == "like":
        return Turn(question, make_answer(rng, table["like answer"], slots))
    return Turn(question, own_answer(rng, topic, personality))
