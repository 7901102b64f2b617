"""What users want a story to be about.

A fifth of all nouns and wishes is held out: no conversation asks for a story about them.
"""

from functools import cache
from typing import Literal, NamedTuple

from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, choose_weighted
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.tales.casting import draw_name
from firstwords.data.starter.tales.kinds import (
    LIVING,
    Kind,
    kinds,
    kinds_of,
    portable_things,
    tale_sections,
)
from firstwords.data.starter.tales.plots import Plot, tale_plots
from firstwords.data.starter.tales.wishes import Wish, draw_wish
from firstwords.data.starter.templates import article
from firstwords.data.starter.words import plural


class Order(NamedTuple):
    """What a story shall be about; what is empty is free."""

    phrase: str = ""  # as users say it: "a shy dragon"
    hero: str = ""  # a noun
    trait: str = ""
    name: str = ""
    friend: str = ""  # a noun
    friend_name: str = ""
    thing: str = ""
    look: str = ""
    place: str = ""
    about: str = ""
    wish: Wish | None = None
    mood: str = ""
    length: Literal["", "very short", "long"] = ""  # as users ask for it
    brief: bool = False  # told in two or three sentences, as a very short one always is


@cache
def _always_asked() -> frozenset[str]:
    """Return the kinds for which older kinds of conversations ask."""
    return frozenset((*table_sections("cast.txt")["kinds"], "girl", "boy"))


@cache
def is_order_held_out(what: str) -> bool:
    """Return whether no conversation asks for a story about this noun or wish."""
    return what not in _always_asked() and is_held_out("story", f"order {what}")


@cache
def ordered_kinds(group: str, held_out: bool) -> tuple[Kind, ...]:
    """Return the kinds of a group that conversations may ask for, or that only the exam does."""
    return tuple(k for k in kinds_of(group) if is_order_held_out(k.noun) == held_out)


@cache
def _things(held_out: bool) -> tuple[str, ...]:
    return tuple(t for t in portable_things() if is_order_held_out(t) == held_out)


@cache
def _abouts(held_out: bool) -> tuple[str, ...]:
    found = {topic for plot in tale_plots() for topic in plot.about}
    return tuple(sorted(topic for topic in found if _has_held_out_word(topic) == held_out))


def _has_held_out_word(topic: str) -> bool:
    return any(word in kinds() and is_order_held_out(word) for word in topic.split())


@cache
def shorter_plots(plots: tuple[Plot, ...], most: int) -> tuple[Plot, ...]:
    """Return the plots of at most this size, or else the two shortest ones."""
    return tuple(p for p in plots if p.size <= most) or tuple(sorted(plots, key=_size_of)[:2])


def _size_of(plot: Plot) -> int:
    return plot.size


def plots_for(order: Order) -> tuple[Plot, ...]:
    """Return the plots that fulfil the order; all of them if it names neither hero nor thing."""
    if order.wish:
        return ()
    hero, friend = order.hero, order.friend
    group = kinds()[hero].group if hero else ""
    friend_group = kinds()[friend].group if friend else ""
    place = kinds()[order.place].realm if order.place else ""
    is_free = not (hero or order.thing or order.place or order.about)
    return _fitting(group, hero, friend_group, order.thing, place, order.about, order.mood, is_free)


@cache
def _fitting(
    group: str,
    hero: str,
    friend: str,
    thing: str,
    place: str,
    about: str,
    mood: str,
    is_free: bool,
) -> tuple[Plot, ...]:
    own = {plot.hero for plot in tale_plots() if plot.hero}

    def fits(plot: Plot) -> bool:
        if mood and mood not in plot.moods:
            return False
        if is_free:
            return True
        if about:
            return about in plot.about
        if plot.hero or plot.about:
            return plot.hero == hero and hero in own and not friend
        return (
            (not group or group in plot.heroes)
            and (not friend or friend in plot.friends)
            and bool(thing) == bool(plot.things)
            and (not thing or thing in plot.things or "any" in plot.things)
            and (plot.place in ("any", place) if place else not plot.place)
        )

    return tuple(filter(fits, tale_plots()))


_FORMS = {
    "hero": 0.34,
    "wish": 0.18,
    "pair": 0.16,
    "thing": 0.12,
    "place": 0.08,
    "about": 0.05,
    "free": 0.07,
}
_GROUP_WEIGHTS = {
    "animal": 3.0,
    "swimmer": 0.6,
    "person": 2.4,
    "creature": 1.6,
    "thing": 2.0,
    "vehicle": 0.9,
    "boat": 0.5,
    "aircraft": 0.2,
    "landmark": 0.3,
    "food": 0.7,
    "sky": 0.5,
    "plant": 0.6,
}
_PETS = (
    "cat",
    "dog",
    "rabbit",
    "hamster",
    "pony",
    "parrot",
    "kitten",
    "puppy",
    "tortoise",
    "mouse",
)
_RELATIVES = ("sister", "brother", "mum", "dad", "grandma", "grandpa", "aunt", "uncle", "friend")
# What they are in a tale.
_AS_HERO = {"sister": "girl", "brother": "boy", "friend": "girl"}
_PAIRS = ("sister", "brother", "robot", "cat", "mouse", "dragon", "dog", "frog")


def draw_order(rng: Rng, held_out: bool = False) -> Order:
    """Return what a user wants a story to be about; held out for the exam, or for training."""
    form = choose_weighted(rng, _FORMS)
    if held_out and form in ("about", "free", "pair"):
        form = "hero"
    order = _DRAW[form](rng, held_out)
    return _in_a_mood(rng, order)


def _in_a_mood(rng: Rng, order: Order) -> Order:
    """Return the order with a mood or a length now and then."""
    chance = rng()
    if chance < 0.12:
        return order._replace(length="very short", brief=True)
    if chance < 0.32 and not order.wish:
        moods = ("happy", "funny", "sad", "scary", "quiet")
        moody = order._replace(mood=choose(rng, moods))
        return moody if len(plots_for(moody)) > 1 else order
    return order


def _hero(rng: Rng, held_out: bool) -> Order:
    group = choose_weighted(rng, _GROUP_WEIGHTS)
    kind = choose(rng, ordered_kinds(group, held_out))
    chance = rng()
    if not held_out and chance < 0.1:
        return _mine(rng)
    trait = name = ""
    if chance < 0.35:
        trait = choose(rng, traits_of(kind))
    described = f"{trait} {kind.noun}".strip()
    phrase = f"{article(described)} {described}"
    he = ""
    if 0.25 < chance < 0.5:
        he = kind.pronoun or choose(rng, ("she", "he"))
        name = draw_name(rng, kind, he)
        phrase = f"{phrase} {choose(rng, ('named', 'called'))} {name}"
    return Order(phrase, kind.noun, trait, name)


def traits_of(kind: Kind) -> tuple[str, ...]:
    """Return adjectives that suit the kind."""
    heading = {"swimmer": "animal"}.get(kind.group, kind.group)
    table = tale_sections("traits.txt")
    traits = table.get(heading, table["thing"])
    if kind.noun in ("girl", "boy", "child", "baby", "kitten", "puppy", "grandma", "grandpa"):
        return tuple(trait for trait in traits if trait not in ("old", "young", "tall"))
    return traits


@cache
def _asked(nouns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(noun for noun in nouns if not is_order_held_out(noun))


def _mine(rng: Rng) -> Order:
    """Return an order for a story about somebody whom the user knows."""
    noun = choose(rng, _asked(_PETS if rng() < 0.7 else _RELATIVES))
    hero = kinds()[_AS_HERO.get(noun, noun)]
    name = draw_name(rng, hero, hero.pronoun or choose(rng, ("she", "he")))
    if rng() < 0.3:
        return Order(f"my {noun}", hero.noun)
    return Order(f"my {noun} {name}", hero.noun, "", name)


def _wish(rng: Rng, held_out: bool) -> Order:
    while True:
        wish = draw_wish(rng)
        if is_order_held_out(f"to {wish.slots['V']}") == held_out:
            break
    group = choose(rng, wish.groups)
    kind = choose(rng, ordered_kinds(group, False))
    trait = choose(rng, traits_of(kind)) if rng() < 0.2 else ""
    described = f"{trait} {kind.noun}".strip()
    who = "who" if kind.group in LIVING else "that"
    phrase = f"{article(described)} {described} {who} wanted to {wish.slots['V']}"
    return Order(phrase, kind.noun, trait, wish=wish)


def _pair(rng: Rng, held_out: bool) -> Order:
    chance = rng()
    if chance < 0.2:
        noun = choose(rng, _asked(_PAIRS))
        phrase = f"two {plural(noun)}"
        name = friend_name = ""
        if rng() < 0.4:
            he = kinds()[noun].pronoun or choose(rng, ("she", "he"))
            name = draw_name(rng, kinds()[noun], he)
            friend_name = draw_name(rng, kinds()[noun], he, name)
            phrase = f"{phrase} {choose(rng, ('named', 'called'))} {name} and {friend_name}"
        return Order(phrase, noun, name=name, friend=noun, friend_name=friend_name)
    if chance < 0.4:
        hero, friend = ("girl", "boy") if rng() < 0.5 else ("boy", "girl")
        names = {
            "girl": table_sections("cast.txt")["girls"],
            "boy": table_sections("cast.txt")["boys"],
        }
        name, other = choose(rng, names[hero]), choose(rng, names[friend])
        return Order(f"{name} and {other}", hero, "", name, friend, other)
    group = choose(rng, ("person", "animal", "animal", "creature"))
    hero = choose(rng, ordered_kinds(group, False)).noun
    if chance < 0.6:
        hero = choose(rng, ("girl", "boy"))
    while True:
        friend = choose(
            rng, ordered_kinds(choose(rng, ("person", "animal", "creature")), False)
        ).noun
        if friend != hero and kinds()[friend].realm in ("land", "town", "air"):
            break
    if kinds()[hero].realm not in ("land", "town", "air"):
        hero = "girl" if friend != "girl" else "boy"
    return Order(f"{article(hero)} {hero} and {article(friend)} {friend}", hero, friend=friend)


def _thing(rng: Rng, held_out: bool) -> Order:
    thing = choose(rng, _things(held_out))
    look = choose(rng, table_sections("cast.txt")["looks"]) if rng() < 0.3 else ""
    described = f"{look} {thing}".strip()
    return Order(f"{article(described)} {described}", thing=thing, look=look)


def _place(rng: Rng, held_out: bool) -> Order:
    noun = choose(rng, ordered_kinds("place", held_out)).noun
    return Order(f"{article(noun)} {noun}", place=noun)


def _about(rng: Rng, _held_out: bool) -> Order:
    about = choose(rng, _abouts(False))
    return Order(about, about=about)


def _free(_rng: Rng, _held_out: bool) -> Order:
    return Order()


_DRAW = {
    "hero": _hero,
    "wish": _wish,
    "pair": _pair,
    "thing": _thing,
    "place": _place,
    "about": _about,
    "free": _free,
}
