"""Tales: plots follow from their world, casts stay the same, orders are fulfilled."""

import re
from collections import Counter
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords.data.starter import conversation, document
from firstwords.data.starter.rng import seeded_rng
from firstwords.data.starter.story_judge import is_good_tale
from firstwords.data.starter.tales.kinds import kinds, places_of, portable_things, tale_sections
from firstwords.data.starter.tales.orders import Order, draw_order, is_order_held_out, plots_for
from firstwords.data.starter.tales.plots import Plot, parse_plots, tale_plots
from firstwords.data.starter.tales.talk import _expected, exam_tale
from firstwords.data.starter.tales.teller import PAGE_CHARACTERS, Tale, tell
from firstwords.data.starter.tales.threads import threads
from firstwords.data.starter.tales.wishes import draw_wish
from firstwords.data.starter.tales.world import WorldError, world_after
from firstwords.evaluation.babble_words import is_word

SEEDS = st.integers(0, 10**9)
OPENED = ("{Bnew}", "{^Bnew}", "{Bone}", "{^Bone}", "{Bfriend}", "{^Bfriend}")
FRIEND = ("{B}", "{bhe}", "{^bhe}", "{bhim}", "{bhis}", "{^bhis}", "{bhimself}")


def make(seed: int) -> tuple[Order, Tale]:
    rng = seeded_rng(seed, "tale", 0)
    order = draw_order(rng)
    return order, tell(rng, order)


# -- the world ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "effects",
    [
        ["A uses key"],
        ["A gets key", "B gives key A"],
        ["A gets key", "A gives key B", "A uses key"],
        ["A gets key", "B gets key"],
        ["A loses key"],
        ["gate needs locked"],
        ["gate is locked", "gate not locked", "gate needs locked"],
        ["A goes mill", "A beside B"],
        ["A sings song"],
    ],
)
def test_impossible_events_are_refused(effects: list[str]) -> None:
    with pytest.raises(WorldError):
        world_after(effects)


def test_the_world_remembers() -> None:
    world = world_after(["A gets key", "A goes mill", "A meets B", "A beside B", "A gives key B"])
    assert world.holders == {"key": "B"}
    assert world.place("A") == world.place("B") == "mill"


def test_a_plot_in_which_somebody_uses_what_they_gave_away_is_refused() -> None:
    text = "== Wrong\n> a // b\n- {A} lent it. ## A gets key; A gives key B\n- Click! ## A uses key"
    with pytest.raises(ValueError, match="'Wrong': A uses key: A does not have the key"):
        parse_plots(text)


# -- the plots ------------------------------------------------------------------------------------


def test_there_are_many_plots_openings_and_endings() -> None:
    assert len(tale_plots()) >= 100
    assert len({plot.name for plot in tale_plots()}) == len(tale_plots())
    openings = tale_sections("openings.txt")
    assert sum(map(len, openings.values())) >= 40
    assert sum(map(len, tale_sections("endings.txt").values())) >= 40
    assert len(threads()) >= 10
    assert plots_for(Order()) == tale_plots()
    assert max(plot.size for plot in tale_plots()) + 150 <= PAGE_CHARACTERS
    moods = Counter(mood for plot in tale_plots() for mood in plot.moods)
    assert all(moods[mood] >= 6 for mood in ("happy", "funny", "sad", "scary", "quiet", "kind"))


@pytest.mark.parametrize("plot", tale_plots(), ids=lambda plot: plot.name)
def test_plots_introduce_their_friend_and_give_a_reason(plot: Plot) -> None:
    for text in (" ".join(plot.parts), plot.setup + plot.outcome):
        first = min([text.find(mark) for mark in OPENED if mark in text], default=len(text))
        assert all(text.find(mark) >= first for mark in FRIEND if mark in text), text
    assert bool(plot.friends) == any(mark in " ".join(plot.parts) for mark in OPENED)
    assert any(question.question.startswith("Why") for question in plot.questions)
    assert not plot.about or "{Aintro}" in plot.parts[0]


def test_every_kind_of_hero_thing_and_place_has_plots() -> None:
    for noun, kind in kinds().items():
        order = Order(noun, place=noun) if kind.group == "place" else Order(noun, hero=noun)
        assert plots_for(order), noun
        assert kind.group == "place" or len(places_of(kind.realm)) > 1
    for thing in portable_things():
        assert len(plots_for(Order(thing, thing=thing))) >= 4


# -- the tales ------------------------------------------------------------------------------------


@given(SEEDS)
@settings(max_examples=200, deadline=None)
def test_tales_are_well_formed(seed: int) -> None:
    _, tale = make(seed)
    rng = seeded_rng(seed, "more", 0)
    texts = [tale.text, tale.summary(rng), tale.sequel(rng), tale.outcome(rng), tale.title(rng)]
    for question in tale.script.questions:
        texts += tale.ask(rng, question)[:2]
    for text in texts:
        assert not re.search(r"[{}\[\]|<>^~#]|  | [,.!?]|\.\.|,\.|,,", text), text
        assert text.count('"') % 2 == 0, text
        assert text[0].isupper() or text[0] == '"', text
        assert not re.search(r"[.!?] [a-z]", text), text
        assert not re.search(r"\b[Aa] [aeio][a-z]+", text), text
        unknown = [
            w
            for w in re.findall(r"\b[a-z]+\b", text.replace("'s", "").replace("n't", "n"))
            if not is_word(w)
        ]
        assert not unknown, (unknown, text)
    assert tale.text[-1] in '.!?"'


@given(SEEDS)
@settings(max_examples=300, deadline=None)
def test_tales_are_consistent(seed: int) -> None:
    order, tale = make(seed)
    slots = tale.slots
    assert slots["A"] != slots["B"]
    assert is_good_tale(_expected(order, tale), tale.text), (order, tale.text)
    kind = kinds()[slots["kind"]]
    assert kind.pronoun in ("", slots["he"])
    assert order.hero in ("", kind.noun)
    assert order.name in ("", slots["A"])
    if not order.friend:
        assert slots["he"] != slots["bhe"]


@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_answers_follow_from_the_tale(seed: int) -> None:
    _, tale = make(seed)
    rng = seeded_rng(seed, "more", 0)
    for question in tale.script.questions:
        _, answer, keywords = tale.ask(rng, question)
        assert keywords.lower() in answer.lower()


# -- orders ---------------------------------------------------------------------------------------


def test_training_never_orders_what_is_held_out() -> None:
    for seed in range(1500):
        order = draw_order(seeded_rng(seed, "order", 0))
        for noun in (order.hero, order.friend, order.thing, order.place):
            assert not noun or not is_order_held_out(noun), order
        assert not order.wish or not is_order_held_out(f"to {order.wish.slots['V']}")
    nouns = [*kinds(), *portable_things()]
    assert 0.15 < sum(map(is_order_held_out, nouns)) / len(nouns) < 0.25
    assert sum(is_order_held_out(f"to {draw_wish(seeded_rng(i, 'w', 0)).slots['V']}")
               for i in range(400)) > 20  # fmt: skip


def test_the_exam_orders_only_what_is_held_out() -> None:
    for seed in range(100):
        order = draw_order(seeded_rng(seed, "exam", 0), held_out=True)
        wanted = [order.hero, order.thing, order.place]
        if order.wish:
            wanted.append(f"to {order.wish.slots['V']}")
        assert any(one and is_order_held_out(one) for one in wanted), order


GOOD = (
    "A story about a fox\n\nThere was once a fox named Pip. Pip lost his hat. He looked for it "
    "everywhere. In the end, Pip found it on his own head."
)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (("", ""), True),
        (("a fox named", "a goose named"), False),  # not what was ordered
        (("In the end, Pip", "In the end, Max"), True),
        (("Pip", "it"), False),  # the name that was ordered is missing
        ((" Pip lost his hat.", " A mouse named Pip lost his hat."), False),  # two of one name
        (("own head.", "own head. Pip the mouse laughed."), False),  # another kind
        (
            (
                "He looked for it everywhere. In the end, Pip found",
                "Pip said that he saw it. Pip thought that she saw it. Pip found",
            ),
            False,
        ),  # another pronoun
        (("on his own head.", "on his own"), False),  # not finished
        (("Pip lost his hat.", "Pip lost his hat and looked in the box for it. " * 2), False),
    ],
)
def test_the_judge_of_stories(change: tuple[str, str], verdict: bool) -> None:
    answer = GOOD.replace(*change) if change[0] else GOOD
    assert is_good_tale(("fox", "Pip", "he"), answer) is verdict


@given(SEEDS)
def test_brief_tales_are_good_ones(seed: int) -> None:
    rng = seeded_rng(seed, "brief", 0)
    order = draw_order(rng)._replace(brief=True)
    tale = tell(rng, order)
    title = f"A story about {order.phrase}\n\n" if order.phrase else ""
    assert is_good_tale(_expected(order, tale), title + tale.text)
    assert len(tale.text) < 420


def test_most_stories_are_brief_and_long_ones_are_told_when_asked_for() -> None:
    orders = [conversation(4, index, "tales").messages for index in range(400)]
    lengths: dict[bool, list[int]] = {True: [], False: []}
    for messages in orders:
        asked, told = next(
            (one["content"], two["content"])
            for one, two in pairwise(messages)
            if two["role"] == "assistant"
        )
        asks_long = re.search(r"\blong(er)?\b", asked.lower()) is not None
        lengths[asks_long].append(len(told))
    assert median(lengths[True]) > 500
    assert median(lengths[False]) < 300


def test_conversations_fit_into_a_row() -> None:
    lengths = []
    for index in range(400):
        messages = conversation(3, index, "tales").messages
        lengths.append(sum(len(message["content"]) for message in messages))
    assert sum(length <= 950 for length in lengths) >= 0.97 * len(lengths)
    assert max(lengths) < 1300


def test_tales_are_varied() -> None:
    texts = [document(1, index, "tale").text for index in range(1500)]
    assert len(set(texts)) == len(texts)
    assert len({exam_tale(seeded_rng(1, "e", i))[0].question for i in range(200)}) > 190
