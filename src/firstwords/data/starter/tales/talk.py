"""Conversations about stories to order: a request, a tale, and questions that its state answers."""

import re
from collections.abc import Callable

from firstwords.data.starter.everyday.typed import TypingStyle, draw_style, is_exam_only, type_out
from firstwords.data.starter.rng import Rng, choose, favouring_first
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.tales.kinds import kinds, tale_sections
from firstwords.data.starter.tales.orders import Order, draw_order
from firstwords.data.starter.tales.teller import Tale, tell
from firstwords.data.starter.templates import article, make_answer, make_sentence
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.words import plural

# So that a conversation fits into a context of 256 tokens.
MAX_CHARACTERS = 840
_MOOD_WORDS = {
    "happy": ("happy", "cheerful", "nice"),
    "funny": ("funny", "silly"),
    "sad": ("sad", "sad little"),
    "scary": ("scary", "spooky", "ghost"),
    "quiet": ("quiet", "calm", "gentle"),
}
_LENGTHS = ("", "", "", "short ", "little ", "nice ")


def tale_talk(rng: Rng) -> list[Turn]:
    """Ask for a story, then perhaps about it, for a shorter one, for its end or for another one."""
    style = draw_style(rng)
    order = _with_length(rng, draw_order(rng))
    n_more = choose(rng, (0, 0, 0, 1, 1, 2, 2, 3))
    if n_more and order.length != "long" and rng() < 0.4:
        order = order._replace(brief=True)
    turn, tale = _ordered(
        rng, order, style, MAX_CHARACTERS - 90 * n_more - 100, favouring_first(rng)
    )
    turns = [turn]
    room = MAX_CHARACTERS - len(turn.question) - len(turn.answer)
    asked: set[Callable[..., Turn | None]] = set()
    while n_more > 0:
        n_more -= 1
        make = choose(rng, _MORE)
        more = None if make in asked else make(rng, order, tale, style)
        asked.add(make)
        if (
            more
            and len(more.question) + len(more.answer) <= room
            and not is_exam_only(more.question)
        ):
            turns.append(more)
            room -= len(more.question) + len(more.answer)
            if make in _LAST:
                break
    return turns


_LONG_PROBABILITY = 0.12
# A model of half an hour loses the thread of a long story, and finishes a brief one
# (docs/lab-notebook.md#brief-stories).
_BRIEF_PROBABILITY = 0.65


def _with_length(rng: Rng, order: Order) -> Order:
    """Return the order as a user of training gives it, who may ask for a long story, and as it is
    told: mostly in a few sentences."""
    if order.brief:
        return order
    if rng() < _LONG_PROBABILITY:
        return order._replace(length="long")
    return order._replace(brief=rng() < _BRIEF_PROBABILITY)


def exam_tale(rng: Rng) -> list[Turn]:
    """Return an order that training never shows, perhaps with a question about the story."""
    return _examined(rng, held_out=True)


def example_tale(rng: Rng) -> list[Turn]:
    """Return a conversation like those of the exam that training may show."""
    return _examined(rng, held_out=False)


def _examined(rng: Rng, held_out: bool) -> list[Turn]:
    style = draw_style(rng, for_exam=True)
    order = draw_order(rng, held_out)
    turn, tale = _ordered(rng, order, style, MAX_CHARACTERS, rng)
    turn = turn._replace(rule="tale", expected=_expected(order, tale))
    if rng() < 0.7:
        return [turn]
    if not tale.script.questions or rng() < 0.5:
        return [turn, _name(rng, order, tale, style) or _kind(rng, order, tale, style)]
    question, answer, keywords = tale.ask(rng, choose(rng, tale.script.questions))
    return [turn, Turn(type_out(rng, style, question), answer, "answers", (keywords,))]


def _expected(order: Order, tale: Tale) -> tuple[str, ...]:
    """Return what the judge of stories needs: subjects, the name and the pronoun if ordered."""
    subjects = [noun for noun in (order.hero, order.friend, order.thing, order.place) if noun]
    if order.friend and order.friend == order.hero:
        subjects = [plural(order.hero)]
    pronoun = kinds()[order.hero].pronoun if order.hero else ""
    if order.wish:
        subjects.append(order.wish.slots["V"].split()[-1])
    return ("|".join(subjects), order.name, pronoun if pronoun in ("she", "he") else "")


def _ordered(
    rng: Rng, order: Order, style: TypingStyle, most: int, wording_rng: Rng
) -> tuple[Turn, Tale]:
    """Return the request for a story, with the story. `wording_rng` chooses the words of the
    request."""
    wording = tale_sections("talk.txt")
    adjective = ""
    if order.length == "very short":
        adjective = choose(rng, ("very short ", "very short ", "tiny ", "super short "))
    elif order.length == "long":
        adjective = choose(rng, ("long ", "long ", "longer ", "very long "))
    elif order.mood:
        adjective = choose(rng, _MOOD_WORDS[order.mood]) + " "
    else:
        adjective = choose(rng, _LENGTHS)
    slots = {"k": f"{adjective}story", "x": order.phrase}
    heading = "order" if order.phrase else "order free"
    if order.phrase and order.mood == "happy" and rng() < 0.6:
        heading, slots["k"] = "order happy end", "story"
    elif order.phrase and order.mood == "quiet" and rng() < 0.7:
        heading, slots["k"] = "order bedtime", "bedtime story"
    while True:
        question = make_sentence(wording_rng, wording[heading], slots)
        if not is_exam_only(question):
            break
    keep = order.phrase.split()
    tale = tell(rng, order, most)
    title = _title(order)
    text = f"{title}\n\n{tale.text}" if title else tale.text
    return Turn(type_out(rng, style, question, keep), text), tale


def _title(order: Order) -> str:
    """Return a title that repeats the order, so that the story can copy from nearby."""
    kind = {"": "", "quiet": "quiet "}.get(order.mood, f"{order.mood} ")
    if order.length:
        kind = f"{order.length} "
    story = f"{kind}story"
    head = f"{article(story).capitalize()} {story}"
    if order.phrase:
        return f"{head} about {re.sub('^my ', 'your ', order.phrase)}"
    return head if kind else ""


# -- what users say next ---------------------------------------------------------------------------


def _say(rng: Rng, style: TypingStyle, heading: str, tale: Tale, **more: str) -> str:
    slots = {**tale.slots, **more}
    text = make_sentence(rng, tale_sections("talk.txt")[heading], slots)
    return type_out(rng, style, text, (tale.slots["A"], tale.slots["B"], *more.values()))


def _shorter(rng: Rng, order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    if order.brief:
        return None
    return Turn(_say(rng, style, "shorter", tale), tale.summary(rng))


def _end(rng: Rng, _order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    return Turn(_say(rng, style, "end", tale), tale.outcome(rng))


def _continue(rng: Rng, _order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    return Turn(_say(rng, style, "continue", tale), tale.sequel(rng))


def _name(rng: Rng, order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    if order.name:
        return None
    answer = make_answer(rng, tale_sections("talk.txt")["name answer"], tale.slots)
    return Turn(_say(rng, style, "name", tale), answer, "answers", (tale.slots["A"],))


def _kind(rng: Rng, _order: Order, tale: Tale, style: TypingStyle) -> Turn:
    answer = make_answer(rng, tale_sections("talk.txt")["kind answer"], tale.slots)
    return Turn(_say(rng, style, "kind", tale), answer, "answers", (tale.slots["kind"],))


def _why(rng: Rng, _order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    reasons = [q for q in tale.script.questions if q.question.startswith("Why")]
    if not reasons:
        return None
    reason = choose(rng, reasons)
    question, answer, _ = tale.ask(rng, reason)
    if reason is reasons[0] and rng() < 0.4:
        return Turn(_say(rng, style, "why", tale), answer)
    return Turn(type_out(rng, style, question, question.split()), answer)


def _question(rng: Rng, _order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    if not tale.script.questions:
        return None
    question, answer, _ = tale.ask(rng, choose(rng, tale.script.questions))
    return Turn(type_out(rng, style, question, question.split()), answer)


def _moral(rng: Rng, _order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    none = make_answer(rng, tale_sections("talk.txt")["no moral"])
    return Turn(_say(rng, style, "moral", tale), tale.moral or none)


def _rename(rng: Rng, order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    """Tell a very short story again with another name."""
    name = tale.slots["A"]
    if not order.brief or tale.slots["he"] == "it":
        return None
    lists = table_sections("cast.txt")
    new = choose(rng, lists["girls"] if tale.slots["he"] == "she" else lists["boys"])
    if new in (name, tale.slots["B"]):
        return None
    text = tale.text.replace(name, new)
    return Turn(_say(rng, style, "rename", tale, new=new), text)


def _another(rng: Rng, order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    """Tell another story to the same order."""
    other = tell(rng, order._replace(brief=True) if order.brief else order, MAX_CHARACTERS // 2)
    if other.plot == tale.plot or (other.slots["A"] == tale.slots["A"] and not order.name):
        return None
    heading = "another" if order.phrase else "another free"
    question = _say(rng, style, heading, tale, x=order.phrase)
    return Turn(question, other.text)


def _thanks(rng: Rng, _order: Order, tale: Tale, style: TypingStyle) -> Turn | None:
    answer = make_answer(rng, tale_sections("talk.txt")["thanks answer"], tale.slots)
    return Turn(_say(rng, style, "thanks", tale), answer.strip())


_MORE: tuple[Callable[[Rng, Order, Tale, TypingStyle], Turn | None], ...] = (
    _shorter,
    _shorter,
    _end,
    _end,
    _continue,
    _continue,
    _name,
    _name,
    _kind,
    _why,
    _why,
    _question,
    _question,
    _moral,
    _rename,
    _rename,
    _another,
    _another,
    _another,
    _thanks,
)
# After these, "it" is another story.
_LAST = (_shorter, _rename, _another, _continue, _thanks)
