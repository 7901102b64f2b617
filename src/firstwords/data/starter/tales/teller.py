"""Tell a tale: a plot with an opening, perhaps a second thread, and an ending."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from firstwords.data.starter.rng import Rng, choose, choose_weighted, favouring_first, sample
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
from firstwords.data.starter.tales.orders import Order, plots_for, shorter_plots, traits_of
from firstwords.data.starter.tales.plots import GROUPS, Plot, Question
from firstwords.data.starter.tales.threads import Thread, threads
from firstwords.data.starter.tales.wishes import draw_wish, plan_wish
from firstwords.data.starter.templates import capitalize, fill_template, make_sentence
from firstwords.data.starter.words import plural

MAX_CHARACTERS = 900
# Pretraining has the longest plots as well.
PAGE_CHARACTERS = 1200
THREAD_PROBABILITY = 0.35
WISH_PROBABILITY = 0.2
_SENTENCE_START = re.compile(r'[.!?](?: "?|" ")[a-z]')
# Plots of these moods have no second thread.
_CALM = {"sad", "scary", "quiet"}
_ALL_GROUPS = frozenset(GROUPS.values())
_FIRST_CHOICE = {"person": 3.0, "animal": 3.0}


class Tale(NamedTuple):
    """A story with what can be asked about it."""

    plot: str  # its name
    text: str
    opening: str  # "" if the plot introduces its hero
    moral: str
    slots: dict[str, str]
    script: "_Script"

    def title(self, rng: Rng) -> str:
        """Return a title."""
        slots = self.slots
        if self.script.has_friend and rng() < 0.3:
            return f"{slots['A']} and {slots['B']}"
        return self.plot if rng() < 0.7 else f"{slots['A']} the {slots['kind'].title()}"

    def outcome(self, rng: Rng) -> str:
        """Return how it ends."""
        return _tidy(fill_template(rng, self.script.outcome, self.slots))

    def summary(self, rng: Rng) -> str:
        """Return the tale in two or three sentences that name the hero."""
        ends = tale_sections("endings.txt")
        opening = self.opening or fill_template(rng, choose(rng, ends["simple"]), self.slots)
        setup = fill_template(rng, self.script.setup, self.slots)
        return _tidy(f"{opening} {setup} {self.outcome(rng)}")

    def sequel(self, rng: Rng) -> str:
        """Return what happened afterwards."""
        with_friend = self.script.has_friend and rng() < 0.6
        lines = tale_sections("endings.txt")["epilogue friends" if with_friend else "epilogue"]
        return _tidy(fill_template(rng, choose(rng, lines), self.slots))

    def ask(self, rng: Rng, question: Question) -> StoryQuestion:
        """Return one of the questions of its script with the answer."""
        return StoryQuestion(
            make_sentence(rng, (question.question,), self.slots),
            make_sentence(rng, (question.answer,), self.slots),
            fill_template(rng, question.keywords, self.slots),
        )


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
    """Return a tale that fulfils the order, of about `most` characters at most if possible."""
    return _tell(rng, order or Order(), most)


# What an opening, a second thread and an ending add to a plot.
_FRAME_CHARACTERS = 150
_THREAD_CHARACTERS = 150


def _tell(rng: Rng, order: Order, most: int) -> Tale:
    wish = order.wish
    is_free = not (order.hero or order.thing or order.place or order.about or order.mood)
    plots = () if wish else plots_for(order)
    if wish is None and (not plots or (is_free and rng() < WISH_PROBABILITY)):
        wish = draw_wish(rng)
        if order.hero and kinds()[order.hero].group not in wish.groups:
            wish = draw_wish(rng, kinds()[order.hero].group)
    if not order.brief:
        plots = shorter_plots(plots, most - _FRAME_CHARACTERS)
    plot = None if wish else choose(rng, plots)
    if plot and plot.hero:
        order = order._replace(hero=plot.hero)
    groups = wish.groups if wish else tuple(sorted(plot.heroes)) if plot else ()
    friend_groups = plot.friends if plot else _ALL_GROUPS
    cast = _draw_cast(rng, order, groups, friend_groups or _ALL_GROUPS, plot)
    pair = bool(order.friend)
    slots = cast_slots(rng, cast, pair)
    if plot and plot.place:
        realm = "" if plot.place == "any" else plot.place
        place = kinds()[order.place or choose(rng, kinds_of("place", realm)).noun]
        slots |= {"P": place.noun, "atP": f"{place.at} the {place.noun}"}
    if pair:
        slots["kinds"] = plural(cast.hero.kind.noun)
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
    if most - _FRAME_CHARACTERS - (plot.size if plot else 650) < _THREAD_CHARACTERS:
        script = script._replace(thread=None)
    return _write(rng, script, slots, order, cast)


def _who(kind: Kind) -> str:
    return "who" if kind.group in LIVING else "that"


def _draw_cast(
    rng: Rng, order: Order, groups: Sequence[str], friends: frozenset[str], plot: Plot | None
) -> Cast:
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
    return Cast(hero, friend, trait, thing, look)


def _script_of_plot(rng: Rng, plot: Plot, cast: Cast, order: Order) -> _Script:
    return _Script(
        plot.name,
        tuple((part,) for part in plot.parts),
        plot.setup,
        plot.outcome,
        plot.morals,
        plot.questions,
        plot.endings,
        None
        if plot.about or _CALM & set(plot.moods)
        else _draw_thread(rng, cast.hero, plot.without),
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
    opening = ""
    if script.opening:
        # A model that has little time learns one opening sooner than fifteen.
        usual = favouring_first(rng) if order.brief else rng
        opening = fill_template(rng, choose(usual, _openings(script.opening)), slots)
    moral = fill_template(rng, choose(rng, script.morals), slots) if script.morals else ""
    if moral:
        slots["moral"] = moral
    tale = Tale(script.name, "", opening, f"{capitalize(moral)}." if moral else "", slots, script)
    if order.brief:
        brief = script._replace(questions=(), thread=None)
        return tale._replace(text=tale.summary(rng), script=brief)
    pieces = [opening] if opening else []
    thread = script.thread
    if thread:
        for keys, options in thread.choices:
            for key, value in zip(keys, choose(rng, options), strict=True):
                slots[key] = fill_template(rng, value, slots)
        pieces.append(fill_template(rng, thread.beginning, slots))
    for index, part in enumerate(script.parts):
        if index == 1 and thread and thread.middle:
            pieces.append(fill_template(rng, thread.middle, slots))
        pieces += [fill_template(rng, line, slots) for line in part]
    if thread:
        pieces.append(fill_template(rng, thread.end, slots))
        script = script._replace(questions=(*script.questions, *thread.questions))
    ends = tale_sections("endings.txt")
    if moral and rng() < 0.3:
        pieces.append(fill_template(rng, choose(rng, ends["moral"]), slots))
    elif rng() < 0.85:
        pieces.append(fill_template(rng, choose(rng, ends[_ending(rng, script, cast)]), slots))
    return tale._replace(text=_tidy(" ".join(pieces)), script=script)


def _ending(rng: Rng, script: _Script, cast: Cast) -> str:
    """Return a section of `endings.txt` that suits the plot and its hero."""
    fitting = [
        name
        for name in script.endings
        if (name != "home" or cast.hero.kind.group in ("person", "animal", "creature"))
        and (name != "friends" or script.has_friend)
    ]
    return choose(rng, fitting or ["happy"])


def _tidy(text: str) -> str:
    """Return the text without double spaces, with a capital after every full stop."""
    if "  " in text:
        text = text.replace("  ", " ")
    return _SENTENCE_START.sub(_last_in_capitals, capitalize(text.strip()))


def _last_in_capitals(match: re.Match[str]) -> str:
    return match[0][:-1] + match[0][-1].upper()


def page(rng: Rng) -> str:
    """Return a tale for pretraining, perhaps with a title, perhaps with questions about it."""
    tale = tell(rng, most=PAGE_CHARACTERS)
    text = f"{tale.title(rng)}\n\n{tale.text}" if rng() < 0.4 else tale.text
    asked = sample(rng, tale.script.questions, 3) if rng() < 0.4 else []
    lines = [tale.ask(rng, question) for question in asked]
    return "\n".join([text, *(f"{q.question}\n{q.answer}" for q in lines)])
