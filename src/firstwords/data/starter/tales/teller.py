"""Tell a tale: a plot with an opening, perhaps a second thread, and an ending."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.rng import Rng, choose, choose_weighted, sample
from firstwords.data.starter.stories import StoryQuestion
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.tales.casting import (
    Actor,
    Cast,
    cast_slots,
    draw_actor,
    draw_friend_kind,
)
from firstwords.data.starter.tales.kinds import (
    LIVING,
    Kind,
    kinds,
    kinds_of,
    portable_things,
    tale_sections,
)
from firstwords.data.starter.tales.orders import Order, plots_for, traits_of
from firstwords.data.starter.tales.plots import GROUPS, Plot, Question
from firstwords.data.starter.tales.threads import Thread, threads
from firstwords.data.starter.tales.wishes import draw_wish, plan_wish
from firstwords.data.starter.templates import capitalize, fill_template, make_sentence

MAX_CHARACTERS = 900
THREAD_PROBABILITY = 0.35
WISH_PROBABILITY = 0.2
_SENTENCE_START = re.compile(r'(?:(?<=[.!?] )|(?<=[.!?] ")|(?<=[.!?]" ")|^)[a-z]')
# Plots of these moods have no second thread.
_CALM = {"sad", "scary", "quiet"}
_FIRST_CHOICE = {"person": 3.0, "animal": 3.0}


class Tale(NamedTuple):
    """A story with what can be asked about it."""

    plot: str  # its name
    title: str
    text: str
    summary: str  # two or three sentences that name the hero
    outcome: str  # how it ends
    sequel: str  # what happened afterwards
    moral: str
    questions: tuple[StoryQuestion, ...]
    slots: dict[str, str]


class _Script(NamedTuple):
    """What a tale is told from: the templates of a plot or of a wish."""

    name: str
    parts: tuple[tuple[str, ...], ...]
    setup: str
    outcome: str
    morals: tuple[str, ...]
    questions: tuple[Question, ...]
    endings: tuple[str, ...]
    thread: Thread | None
    opening: str  # the heading of `openings.txt`; "" if the plot introduces its hero
    has_friend: bool


def tell(rng: Rng, order: Order | None = None, most: int = MAX_CHARACTERS) -> Tale:
    """Return a tale that fulfils the order, of at most `most` characters if possible."""
    order = order or Order()
    for _ in range(8):
        tale = _tell(rng, order)
        if len(tale.text) <= most:
            break
    return tale


def _tell(rng: Rng, order: Order) -> Tale:
    wish = order.wish
    is_free = not (order.hero or order.thing or order.place or order.about or order.mood)
    plots = () if wish else plots_for(order)
    if wish is None and (not plots or is_free and rng() < WISH_PROBABILITY):
        wish = draw_wish(rng)
        if order.hero and kinds()[order.hero].group not in wish.groups:
            wish = _wish_for(rng, kinds()[order.hero].group)
    plot = None if wish else choose(rng, plots)
    if plot and plot.hero:
        order = order._replace(hero=plot.hero)
    groups = wish.groups if wish else tuple(sorted(plot.heroes)) if plot else ()
    friend_groups = plot.friends if plot else frozenset(GROUPS.values())
    cast, thing = _draw_cast(rng, order, groups, friend_groups or frozenset(GROUPS.values()), plot)
    pair = bool(order.friend)
    slots = cast_slots(rng, cast, pair)
    if plot and plot.place:
        realm = "" if plot.place == "any" else plot.place
        place = kinds()[order.place or choose(rng, kinds_of("place", realm)).noun]
        slots |= {"P": place.noun, "atP": f"{place.at} the {place.noun}"}
    if pair:
        slots["kinds"] = _plural(cast.hero.kind.noun)
    if plot:
        for keys, options in plot.choices:
            values = choose(rng, options)
            for key, value in zip(keys, values, strict=True):
                slots[key] = fill_template(rng, value, slots)
        script = _script_of_plot(rng, plot, cast, order)
    else:
        assert wish is not None
        plan = plan_wish(rng, wish, cast.hero.kind.group in LIVING)
        slots |= plan.slots
        for key in ("need", "deed", "fail", "advice", "success"):
            if key in slots:
                slots[key] = fill_template(rng, slots[key], slots)
        script = _Script(
            f"The {cast.hero.kind.noun} {_who(cast.hero.kind)} wanted to {slots['V']}",
            (plan.beats[:3], plan.beats[3:]),
            plan.setup,
            plan.outcome,
            (),
            plan.questions,
            ("happy", "friends", "home") if plan.has_friend else ("happy", "home"),
            _draw_thread(rng, cast.hero, ()),
            _heading(cast, order, None),
            plan.has_friend,
        )
    return _write(rng, script, slots, order, cast)


def _who(kind: Kind) -> str:
    return "who" if kind.group in LIVING else "that"


def _plural(noun: str) -> str:
    return {"mouse": "mice"}.get(noun, f"{noun}s")


def _wish_for(rng: Rng, group: str):  # type: ignore[no-untyped-def]
    while True:
        wish = draw_wish(rng)
        if group in wish.groups:
            return wish


def _draw_cast(
    rng: Rng, order: Order, groups: Sequence[str], friends: frozenset[str], plot: Plot | None
) -> tuple[Cast, str]:
    if order.hero:
        kind = kinds()[order.hero]
    else:
        group = choose_weighted(rng, {g: _FIRST_CHOICE.get(g, 1.0) for g in groups})
        kind = choose(rng, kinds_of(group))
        if group == "person" and rng() < 0.6:
            kind = kinds()["girl" if rng() < 0.5 else "boy"]
    hero = draw_actor(rng, kind, name=order.name)
    if order.friend:
        friend = draw_actor(rng, kinds()[order.friend], hero, order.friend_name)
        if order.friend == order.hero:
            friend = friend._replace(he=hero.he)
    else:
        friend = draw_actor(rng, draw_friend_kind(rng, hero, friends), hero)
    while friend.name == hero.name:
        friend = draw_actor(rng, friend.kind, hero)
    trait = order.trait or (choose(rng, traits_of(kind)) if rng() < 0.45 else "")
    thing = order.thing
    if not thing and plot and plot.things:
        thing = choose(rng, portable_things() if "any" in plot.things else plot.things)
    look = order.look or choose(rng, table_sections("cast.txt")["looks"])
    return Cast(hero, friend, trait, thing, look), thing


def _script_of_plot(rng: Rng, plot: Plot, cast: Cast, order: Order) -> _Script:
    return _Script(
        plot.name,
        tuple((part,) for part in plot.parts),
        plot.setup,
        plot.outcome,
        plot.morals,
        plot.questions,
        plot.endings,
        None if _CALM & set(plot.moods) else _draw_thread(rng, cast.hero, plot.without),
        _heading(cast, order, plot),
        bool(plot.friends),
    )


def _heading(cast: Cast, order: Order, plot: Plot | None) -> str:
    if plot and plot.about:
        return ""
    if order.friend:
        return "twins" if order.friend == order.hero else "pair"
    if plot and plot.things:
        return "thing of the tale"
    if plot and plot.place:
        return "place of the tale"
    return cast.hero.kind.group


def _draw_thread(rng: Rng, hero: Actor, without: Sequence[str]) -> Thread | None:
    if rng() > THREAD_PROBABILITY:
        return None
    fitting = _threads_for(hero.kind.group, tuple(without))
    return choose(rng, fitting) if fitting else None


@cache
def _threads_for(group: str, without: tuple[str, ...]) -> tuple[Thread, ...]:
    return tuple(t for t in threads() if group in t.heroes and t.name.split()[-1] not in without)


_LIKE = {"swimmer": "animal", "boat": "vehicle", "aircraft": "vehicle"}


@cache
def _openings(heading: str) -> tuple[str, ...]:
    table = tale_sections("openings.txt")
    lines = table[_LIKE.get(heading, heading)]
    return (*table["any"], *lines) if heading in LIVING else lines


def _write(rng: Rng, script: _Script, slots: dict[str, str], order: Order, cast: Cast) -> Tale:
    """Fill the templates of a script."""
    fill = fill_template
    opening = fill(rng, choose(rng, _openings(script.opening)), slots) if script.opening else ""
    setup, outcome = fill(rng, script.setup, slots), fill(rng, script.outcome, slots)
    moral = fill(rng, choose(rng, script.morals), slots) if script.morals else ""
    if moral:
        slots["moral"] = moral
    questions = list(script.questions)
    ends = tale_sections("endings.txt")
    if order.brief:
        pieces = [opening, setup, outcome]
        questions = []
    else:
        thread = script.thread
        pieces = [opening] if opening else []
        if thread:
            for keys, options in thread.choices:
                for key, value in zip(keys, choose(rng, options), strict=True):
                    slots[key] = fill(rng, value, slots)
            pieces.append(fill(rng, thread.beginning, slots))
            questions += thread.questions
        for index, part in enumerate(script.parts):
            if index == 1 and thread and thread.middle:
                pieces.append(fill(rng, thread.middle, slots))
            pieces += [fill(rng, line, slots) for line in part]
        if thread:
            pieces.append(fill(rng, thread.end, slots))
        if moral and rng() < 0.3:
            pieces.append(fill(rng, choose(rng, ends["moral"]), slots))
        if rng() < 0.8:
            pieces.append(fill(rng, choose(rng, ends[_ending(rng, script, cast)]), slots))
    text = _tidy(" ".join(pieces))
    sequel_heading = "epilogue friends" if script.has_friend and rng() < 0.6 else "epilogue"
    intro = opening if opening else fill(rng, choose(rng, ends["simple"]), slots)
    return Tale(
        script.name,
        _title(rng, script, slots),
        text,
        _tidy(f"{intro} {setup} {outcome}"),
        _tidy(outcome),
        _tidy(fill(rng, choose(rng, ends[sequel_heading]), slots)),
        capitalize(moral) + "." if moral else "",
        tuple(_question(rng, question, slots) for question in questions),
        slots,
    )


def _ending(rng: Rng, script: _Script, cast: Cast) -> str:
    """Return a section of `endings.txt` that suits the plot and its hero."""
    fitting = [
        name
        for name in script.endings
        if (name != "home" or cast.hero.kind.group in ("person", "animal", "creature"))
        and (name != "friends" or script.has_friend)
    ]
    return choose(rng, fitting or ["happy"])


def _title(rng: Rng, script: _Script, slots: dict[str, str]) -> str:
    if script.has_friend and rng() < 0.3:
        return f"{slots['A']} and {slots['B']}"
    return script.name if rng() < 0.7 else f"{slots['A']} the {slots['kind'].title()}"


def _tidy(text: str) -> str:
    text = text.replace("  ", " ").strip()
    return _SENTENCE_START.sub(lambda match: match[0].upper(), text)


def _question(rng: Rng, question: Question, slots: dict[str, str]) -> StoryQuestion:
    return StoryQuestion(
        make_sentence(rng, (question.question,), slots),
        make_sentence(rng, (question.answer,), slots),
        fill_template(rng, question.keywords, slots),
    )


def page(rng: Rng) -> str:
    """Return a tale for pretraining, perhaps with a title, perhaps with questions about it."""
    tale = tell(rng)
    text = f"{tale.title}\n\n{tale.text}" if rng() < 0.4 else tale.text
    asked = sample(rng, tale.questions, 3) if rng() < 0.4 else []
    return "\n".join([text, *(f"{q.question}\n{q.answer}" for q in asked)])
