"""Everyday conversations of one to five turns.

A conversation follows the links between intents, changes the subject, and now and then asks to
hear the last answer again.
"""

from functools import cache

from firstwords.data.starter.everyday.intents import Intent, intents, next_intents, openings
from firstwords.data.starter.everyday.riddles import riddle
from firstwords.data.starter.everyday.slots import Slots
from firstwords.data.starter.everyday.typed import (
    TypingStyle,
    draw_style,
    is_exam_only,
    is_never_said,
    may_be_exam_question,
    retype,
    sayable,
    type_out,
)
from firstwords.data.starter.fact_questions import fact_turn
from firstwords.data.starter.letters import letter_turn
from firstwords.data.starter.numbers import math_turn
from firstwords.data.starter.rng import Rng, choose, choose_weighted, favouring_first
from firstwords.data.starter.templates import capitalize, fill_template, make_answer, make_sentence
from firstwords.data.starter.turn import Turn

MAX_TURNS = 5
# A conversation ends at this length, to fit into a context of 256 tokens.
MAX_CHARACTERS = 560

_GREETINGS = ("Hi, ", "Hi, ", "Hello, ", "Hey, ", "Hi there, ", "Hello Firstwords, ", "Hey there, ")
_GREETED = ("Hello! ", "Hi! ", "Hello there! ", "", "")
_LEAD_INS = (
    *("By the way, ", "Another question: ", "One more thing: ", "Ok, ", "Okay, ", "So, ", "And "),
    *("Now something else. ", "Different question: ", "Let us talk about something else. "),
)
_AGAIN = (
    "[Say it again|Say that again|Repeat that|Once more][.|, please.]",
    "[Can|Could] you [say that again|repeat that|say it once more]?",
    "What did you [just |]say?",
    "[Pardon?|Sorry, what did you say?|Come again?|What was that?]",
    "I [missed that|did not get that]. [Say it again.|Again, please.]",
)
_SAID = ("", "", "I said: ", "Of course. ", "Sure. ")
_WHAT_DID_I_SAY = (
    "What did I [just |]say?",
    "What did I [just |]write?",
    "Do you remember what I [just |]said?",
    "Repeat what I [just |]said[.|, please.]",
    "What was my last message?",
)
_YOU_SAID = ('You said: "{x}"', 'You wrote: "{x}"', 'Your last message was: "{x}"')


def everyday(rng: Rng, style: TypingStyle | None = None) -> list[Turn]:
    """Return a conversation about everyday matters."""
    style = style or draw_style(rng)
    slots = Slots(rng)
    turns: list[Turn] = []
    size = 0
    intent: Intent | None = _random_opening(rng)
    while True:
        if intent is not None and intent.name == "riddle":
            return [*turns, *riddle(rng, style)][:MAX_TURNS]
        if intent is None:
            turn = another_subject(rng, style)
        elif rng() < 0.07:
            turn = _two_at_once(rng, intent, slots, style)
        else:
            turn = intent_turn(rng, intent, slots, style, first=not turns)
            if any(turn.answer == before.answer for before in turns):
                turn = turn._replace(answer=answer_to(rng, intent, slots))
        size += len(turn.question) + len(turn.answer)
        if turns and size > MAX_CHARACTERS:
            return turns
        turns.append(turn)
        if len(turns) == MAX_TURNS or size > 0.8 * MAX_CHARACTERS:
            return turns
        chance = rng()
        links = next_intents(intent.name) if intent else ()
        if chance < 0.06 and len(turn.answer) < 160:
            turns.append(ask_again(rng, turn, style))
            return turns
        if links and chance < 0.72:
            intent = choose(rng, links)
        elif chance < 0.8:
            intent = _random_opening(rng)
        elif chance < 0.88:
            intent = None
        else:
            return turns


@cache
def _by_topic() -> dict[str, tuple[Intent, ...]]:
    topics: dict[str, list[Intent]] = {}
    for intent in openings():
        topics.setdefault(intent.topic, []).append(intent)
    return {topic: tuple(group) for topic, group in topics.items()}


# What most users say sooner or later; of the other topics each user asks for few.
_COMMON_TOPICS = (
    *("about_me", "advice", "chat", "common", "complaints", "daily", "feelings_bad"),
    *("feelings_good", "fun", "greetings", "short", "unknowable"),
)
_COMMON_WEIGHT = 3  # of a common intent; the others have 1
# Few users say these, but a thoughtless answer hurts, most of all in despair.
_GRAVE_WEIGHTS = {"hopeless": 30, "grief person": 12, "grief pet": 12, "bullied": 12}


@cache
def _weighted_openings() -> tuple[Intent, ...]:
    """Return the openings, each as often as its weight."""
    return tuple(intent for intent in openings() for _ in range(_weight(intent)))


def _weight(intent: Intent) -> int:
    usual = _COMMON_WEIGHT if intent.topic in _COMMON_TOPICS else 1
    return _GRAVE_WEIGHTS.get(intent.name, usual)


def _random_opening(rng: Rng) -> Intent:
    return choose(rng, _weighted_openings())


def answer_to(rng: Rng, intent: Intent, slots: Slots) -> str:
    """Return an answer to a message of the intent."""
    return tidy(make_answer(rng, intent.answers, slots))


def tidy(text: str) -> str:
    """Return the text without the spaces that empty alternatives leave."""
    return text.rstrip().replace("  ", " ")


def say(rng: Rng, intent: Intent, slots: Slots) -> str:
    """Return a user's message for the intent, in normal spelling, the plainest wordings most often.

    Raises ValueError if training shows no message of the intent.
    """
    for _ in range(40):
        line = choose(favouring_first(rng), intent.questions)
        if not intent.never_held_out and (texts := sayable(line)):
            return choose(rng, texts)
        text = tidy(capitalize(fill_template(rng, line, slots)))
        if intent.never_held_out or not is_never_said(text):
            return text
    raise ValueError(f"all messages of {intent.name!r} are held out")


def intent_turn(
    rng: Rng, intent: Intent, slots: Slots, style: TypingStyle, first: bool = False
) -> Turn:
    """Return a message of the intent with an answer, perhaps after a greeting or a lead-in."""
    text = say(rng, intent, slots)
    answer = answer_to(rng, intent, slots)
    chance = rng()
    if first and chance < 0.1 and not text.startswith(("H", "Good")):
        greeted = choose(rng, _GREETINGS) + continued(text)
        if not is_exam_only(greeted):
            text, answer = greeted, choose(rng, _GREETED) + answer
    elif not first and chance < 0.08 and text.endswith("?"):
        introduced = _with_lead_in(rng, text)
        text = text if is_exam_only(introduced) else introduced
    return Turn(type_out(rng, style, text, slots.values()), answer)


def continued(text: str) -> str:
    """Return the sentence as it follows a comma: "What" becomes "what", names and "I" stay."""
    first, _, _ = text.partition(" ")
    return text[0].lower() + text[1:] if f"{first} " in _COMMON_OPENERS else text


# What a message may begin with, other than a name.
_COMMON_OPENERS = (
    "What Who Where When Why How Do Does Did Can Could Are Is Was Will Would Should Have Has Tell "
    "My Please Give Say Which The It That This Any Am We You There Let Make Let's What's Shall "
    "Write Name List Pick Choose Today Yesterday Somebody Someone Nobody Everybody No Yes "
)


def _with_lead_in(rng: Rng, text: str) -> str:
    lead_in = choose(rng, _LEAD_INS)
    return lead_in + (text if lead_in.endswith((". ", ": ")) else continued(text))


def _two_at_once(rng: Rng, intent: Intent, slots: Slots, style: TypingStyle) -> Turn:
    """Ask two questions in one message, and answer both."""
    text = say(rng, intent, slots)
    other = choose(rng, _by_topic()[intent.topic])
    more = say(rng, other, slots)
    answer = answer_to(rng, intent, slots)
    both = f"{answer} {answer_to(rng, other, slots)}"
    if other is intent or not (text.endswith("?") and more.endswith("?")) or len(both) > 200:
        return Turn(type_out(rng, style, text, slots.values()), answer)
    joint = choose(rng, (" ", " ", " And ", " Also, "))
    combined = text + joint + (more if joint == " " else continued(more))
    if is_exam_only(combined):
        return Turn(type_out(rng, style, text, slots.values()), answer)
    return Turn(type_out(rng, style, combined, slots.values()), both)


_SUBJECT_WEIGHTS = {"fact": 5.0, "sum": 1.5, "letters": 1.5}


def another_subject(rng: Rng, style: TypingStyle) -> Turn:
    """Ask a question of the older kinds, as this user types it."""
    kind = choose_weighted(rng, _SUBJECT_WEIGHTS)
    exact = style._replace(mistypes=0.0)
    if kind == "sum":
        return retype(rng, exact, math_turn(rng))
    while True:
        turn = fact_turn(rng) if kind == "fact" else letter_turn(rng)
        if is_exam_only(turn.question):
            continue
        if kind == "letters":
            return retype(rng, exact, turn)
        return retype(rng, style, turn, _content_words(turn))


def _content_words(turn: Turn) -> frozenset[str]:
    """Return the words that question and answer share, and names: typos there change the task."""
    words = turn.question.strip(".?!").split()
    names = {word for word in words[1:] if word[:1].isupper()}
    return frozenset(names | set(words) & set(turn.answer.strip(".").split()))


def ask_again(rng: Rng, last: Turn, style: TypingStyle) -> Turn:
    """Ask for the last answer, or the last message, once more."""
    if rng() < 0.7 or '"' in last.question:
        said = choose(rng, _SAID) + last.answer
        return Turn(type_out(rng, style, make_sentence(rng, _AGAIN)), said)
    question = type_out(rng, style, make_sentence(rng, _WHAT_DID_I_SAY))
    return Turn(question, make_answer(rng, _YOU_SAID, {"x": last.question}))


FEELINGS = "feelings"


@cache
def _graded(feelings: bool) -> tuple[Intent, ...]:
    """Return the intents that the exam asks for."""
    return tuple(
        intent
        for intent in intents().values()
        if intent.keywords
        and intent.topic.startswith(FEELINGS) == feelings
        and intent in openings()
    )


def exam_turn(rng: Rng, feelings: bool, held_out: bool = True) -> Turn:
    """Return a message that training never shows, with the keywords of a right answer."""
    while True:
        slots = Slots(rng)
        intent = choose(rng, _graded(feelings))
        if intent.never_held_out:  # drawn again here, so that the exam's other questions stay
            continue
        text = tidy(make_sentence(rng, intent.questions, slots))
        if may_be_exam_question(text) if held_out else not is_exam_only(text):
            break
    expected = tuple(fill_template(rng, group, slots) for group in intent.keywords)
    answer = answer_to(rng, intent, slots)
    question = type_out(rng, draw_style(rng, for_exam=True), text)
    return Turn(question, answer, "mentions_each", expected)
