"""Intents: what users say in many ways, the answers, and what they may say next.

The files in `intents/` hold one topic each:

- ``== name`` begins an intent;
- ``? text`` is a way to say it, ``! text`` an answer, both with the marks of `templates.py`;
- ``> name`` names an intent whose messages fit after these answers;
- ``= word, word`` lets the exam ask for the intent: an answer is right if it contains one of the
  words of every such line;
- ``*`` marks an intent of which nothing is held out, and which the exam does not ask for: a wrong
  answer would hurt more than a question is worth;
- ``~`` marks a reply, which never opens a conversation. So is an intent to which one leads whose
  name it extends, "feel sad why" after "feel sad", and one whose name begins with "after" or "say".
"""

from functools import cache
from typing import NamedTuple

from firstwords.data.starter.tables import text_files


class Intent(NamedTuple):
    """One thing that users say, with the answers."""

    name: str
    topic: str  # the name of its file
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    next_names: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()  # "a|b": an answer contains one of each
    reply: bool = False
    never_held_out: bool = False


_FIELDS = {
    "?": "questions",
    "!": "answers",
    ">": "next_names",
    "=": "keywords",
    "~": "reply",
    "*": "never_held_out",
}


def parse_intents(topic: str, text: str) -> list[Intent]:
    """Return the intents of a file.

    Raises ValueError if a line has no known mark.
    """
    parsed: list[tuple[str, dict[str, list[str]]]] = []
    for line in text.splitlines():
        if line.startswith("== "):
            parsed.append((line[3:].strip(), {field: [] for field in _FIELDS.values()}))
        elif line.strip() and not line.startswith("#"):
            mark, _, content = line.partition(" ")
            if mark not in _FIELDS or not parsed:
                raise ValueError(f"{topic}: unknown mark in line {line!r}")
            parsed[-1][1][_FIELDS[mark]].append(content.strip())
    return [
        Intent(
            name,
            topic,
            tuple(fields["questions"]),
            tuple(fields["answers"]),
            tuple(fields["next_names"]),
            tuple("|".join(line.split(", ")) for line in fields["keywords"]),
            bool(fields["reply"]),
            bool(fields["never_held_out"]),
        )
        for name, fields in parsed
    ]


@cache
def intents() -> dict[str, Intent]:
    """Return all intents by name.

    Raises ValueError if two intents share a name or a link leads to none.
    """
    by_name: dict[str, Intent] = {}
    for topic, text in text_files(__package__, "intents"):
        for intent in parse_intents(topic, text):
            if intent.name in by_name:
                raise ValueError(f"{topic}: a second intent is named {intent.name!r}")
            by_name[intent.name] = intent
    for intent in by_name.values():
        for name in intent.next_names:
            if name not in by_name:
                raise ValueError(f"{intent.topic}: {intent.name!r} leads to unknown {name!r}")
    return by_name


# The first word of the names of replies.
_REPLY_WORDS = ("after", "say")


def is_reply(intent: Intent) -> bool:
    """Return whether the intent makes sense only after another one."""
    words = intent.name.split()
    return (
        intent.reply
        or words[0] in _REPLY_WORDS
        or any(
            intent.name in other.next_names
            for size in range(1, len(words))
            if (other := intents().get(" ".join(words[:size])))
        )
    )


@cache
def openings() -> tuple[Intent, ...]:
    """Return the intents that may open a conversation."""
    return tuple(intent for intent in intents().values() if not is_reply(intent))


@cache
def next_intents(name: str) -> tuple[Intent, ...]:
    """Return the intents that fit after the answers of an intent."""
    return tuple(intents()[next_name] for next_name in intents()[name].next_names)
