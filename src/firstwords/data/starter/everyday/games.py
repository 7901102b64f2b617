"""Small games and lists over several turns.

Guess the word, guess the animal, rhymes, opposites, counting in turn, which is bigger, and lists of
which one asks for more, for one, or for the first. The wording is in `games.txt`.
"""

from collections.abc import Callable
from functools import cache

from firstwords.data.starter.everyday.dictionary import things
from firstwords.data.starter.everyday.typed import draw_style
from firstwords.data.starter.everyday.wording import Wording
from firstwords.data.starter.lexicon import Entry
from firstwords.data.starter.rng import Rng, choose, choose_weighted, randint, sample
from firstwords.data.starter.tables import table_rows, table_sections
from firstwords.data.starter.templates import article, capitalize, join_list
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.words import ORDINALS, number_in_words, rhymes

TABLE = "games.txt"
MAX_TURNS = 6


@cache
def _to_guess() -> tuple[Entry, ...]:
    """Return common things whose definition describes them well enough to guess them."""
    return tuple(
        entry
        for entry in things()[:700]
        if entry.definition.startswith(("a ", "an ")) and len(entry.definition) > 22
    )


class _Game:
    """A game of one user, which grows turn by turn."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.wording = Wording(rng, TABLE, draw_style(rng))
        self.turns: list[Turn] = []

    def add(self, name: str, answer: str = "", **slots: str) -> None:
        """Add a message of section `name`, with `answer` or one of section "`name` answer"."""
        said = answer or self.wording.answer(f"{name} answer", slots)
        self.turns.append(Turn(self.wording.ask(name, slots), capitalize(said)))

    # -- guessing --------------------------------------------------------------------------------

    def guess_word(self) -> None:
        heading = "guess word"
        for _ in range(1 if self.rng() < 0.6 else 2):
            entry, wrong = sample(self.rng, _to_guess(), 2)
            slots = _named(entry)
            described = self.wording.answer("guess word answer", slots)
            self.add(heading, described, **slots)
            if self.rng() < 0.4:
                other = _named(wrong)
                answer = self.wording.answer(
                    "guess wrong answer", {**slots, "b": other["a"], "e": other["d"]}
                )
                self.add("guess right", answer, **other)
            self.add("guess right" if self.rng() < 0.7 else "give up", **slots)
            heading = "next one"

    def guess_animal(self) -> None:
        """The assistant asks about the user's animal, along a tree of questions."""
        tree = _tree()
        path, heading = "", "twenty"
        while path + "y" in tree and len(self.turns) < MAX_TURNS - 1:
            self.add(heading, _question(tree[path]))
            step = "y" if self.rng() < 0.55 else "n"
            path, heading = path + step, "yes" if step == "y" else "no"
        if path + "y" in tree:  # too many questions for one conversation
            self.turns = []
            return self.guess_animal()
        self.add(heading, f"Is it {tree[path]}?")
        if len(self.turns) < MAX_TURNS:
            self._end_of_guessing(tree[path])
        return None

    def _end_of_guessing(self, guess: str) -> None:
        if self.rng() < 0.75 or len(self.turns) > MAX_TURNS - 2:
            self.add("yes", self.wording.answer("guessed right", {}))
            return
        self.add("no", self.wording.answer("guessed wrong", {}))
        animals = [name for _, name in table_rows("animal_tree.txt") if name[:2] in ("a ", "an")]
        other = choose(self.rng, [name for name in animals if name != guess])
        self.add("it was", a=other)

    # -- words -----------------------------------------------------------------------------------

    def rhyme_chain(self) -> None:
        first, *family = sample(self.rng, choose(self.rng, rhymes()), 9)
        if self.rng() < 0.5 and len(family) > 2:
            self.add("rhyme", w=first, v=family[0])
            for mine, yours in zip(family[1::2], family[2::2], strict=False):
                if len(self.turns) < 4:
                    self.add("my rhyme", v=mine, x=yours)
            return
        self.add("rhyme", w=first, v=family[0])
        for word in family[1 : 1 + randint(self.rng, 1, 3)]:
            answer = self.wording.answer("rhyme answer", {"w": first, "v": word})
            self.add("rhyme more", answer)
        if len(family) < 4 and len(self.turns) == len(family):
            self.add("rhyme more", self.wording.answer("no rhyme answer", {"w": first}))

    def opposites(self) -> None:
        pairs = [pair[:: choose(self.rng, (1, -1))] for pair in table_rows("opposites.txt")]
        chosen = sample(self.rng, pairs, randint(self.rng, 2, 5))
        self.add("opposites", f"{chosen[0][1]}.", w=chosen[0][0])
        for word, other in chosen[1:]:
            typed = self.wording.typed(capitalize(word) + ".", {"w": word})
            self.turns.append(Turn(typed, f"{capitalize(other)}."))

    def count_with_me(self) -> None:
        in_words = self.rng() < 0.4
        at = randint(self.rng, 1, 30)

        def said(number: int) -> str:
            return number_in_words(number) if in_words else str(number)

        self.add("count with me", f"{said(at + 1)}.", n=said(at))
        for number in range(at + 2, at + 2 + 2 * randint(self.rng, 1, 4), 2):
            typed = self.wording.typed(capitalize(said(number)), {"n": said(number)})
            self.turns.append(Turn(typed, f"{capitalize(said(number + 1))}."))

    # -- comparing -------------------------------------------------------------------------------

    def compare(self) -> None:
        section, more, less = choose(self.rng, _SCALES)
        scale = table_sections(TABLE)[section]
        heading = "compare"
        for _ in range(randint(self.rng, 1, 3)):
            low, high = self._two_of(scale)
            word = more if self.rng() < 0.7 else less
            winner, loser = (high, low) if word == more else (low, high)
            a, b = sample(self.rng, (low, high), 2)
            asked = self.wording.plain(heading, {"a": a, "b": b, "c": word})
            said = self.wording.answer("compare answer", {"w": winner, "l": loser, "c": word})
            if asked.startswith(("Is ", "And is ")):
                first = asked.split(word)[0]
                said = f"{'Yes' if winner in first else 'No'}, {winner} is {word} than {loser}."
            if b not in asked:  # "And a cow?" asks nothing by itself
                continue
            self.turns.append(Turn(self.wording.typed(asked, {"a": a, "b": b}), said))
            heading = "compare more"
        if self.turns:
            return
        self.of_three()

    def _two_of(self, scale: tuple[str, ...]) -> tuple[str, str]:
        """Return two things of a scale that are clearly apart, the lesser one first."""
        at = randint(self.rng, 0, len(scale) - 3)
        return scale[at], scale[randint(self.rng, at + 2, len(scale) - 1)]

    def of_three(self) -> None:
        section, more, less = choose(self.rng, _SCALES)
        scale = table_sections(TABLE)[section]
        places = sorted(sample(self.rng, range(0, len(scale), 2), 3))
        chosen = [scale[place] for place in places]
        best = self.rng() < 0.6
        top, bottom = (more, less) if best else (less, more)
        slots = {"x": join_list(sample(self.rng, chosen, 3), "or"), "s": _superlative(top)}
        self.add("of three", w=chosen[-1 if best else 0], **slots)
        if self.rng() < 0.6:
            name, winner = _superlative(bottom), chosen[0 if best else -1]
            said = self.wording.answer("of three answer", {"w": winner, "s": name})
            self.add("and the least", said, s=name)

    # -- lists -----------------------------------------------------------------------------------

    def lists(self) -> None:
        kind = choose(self.rng, _KINDS_OF_LISTS)
        count, extra = randint(self.rng, 2, 4), randint(self.rng, 1, 3)
        items = sample(self.rng, _listed(kind), count + extra)
        shown = items[:count]
        self.add("list", _enumerated(shown), n=self._number(count), k=kind)
        if self.rng() < 0.55:
            shown = items
            self.add("and more", _enumerated(items[count:]), n=self._number(len(items) - count))
        chance = self.rng()
        if chance < 0.4:
            picked = choose(self.rng, shown)
            self.add("pick one", v=picked)
            if self.rng() < 0.4:
                self.add("why that", v=picked)
        elif chance < 0.7:
            at = randint(self.rng, 0, min(len(shown), 4) - 1)
            self.add("place in list", p=ORDINALS[at], v=shown[at])
        elif chance < 0.85:
            self.add("how many now", n=number_in_words(len(shown)), l=join_list(shown))

    def _number(self, number: int) -> str:
        return number_in_words(number) if self.rng() < 0.6 else str(number)


def _named(entry: Entry) -> dict[str, str]:
    return {"a": f"{article(entry.word)} {entry.word}", "w": entry.word, "d": entry.definition}


@cache
def _tree() -> dict[str, str]:
    """Return the questions and animals of the guessing game by the answers that lead to them."""
    return {row[0]: row[1] for row in table_rows("animal_tree.txt")}


def _question(text: str) -> str:
    return f"{text}?"


_SCALES = (
    ("sizes", "bigger", "smaller"),
    ("sizes of things", "bigger", "smaller"),
    ("weights", "heavier", "lighter"),
    ("speeds", "faster", "slower"),
    ("ages", "older", "younger"),
    ("prices", "dearer", "cheaper"),
)


def _superlative(comparative: str) -> str:
    return comparative.removesuffix("r") + "st"


_KINDS_OF_LISTS = (
    *("fruits", "vegetables", "colours", "pets", "drinks", "flowers", "trees", "tools", "sports"),
    *("games", "jobs", "musical instruments", "vehicles", "shapes", "languages"),
    *("girls' names", "boys' names", "feelings", "parts of the body", "things in a kitchen"),
)


@cache
def _listed(kind: str) -> tuple[str, ...]:
    lines = table_sections("tasks.txt")[f"list {kind}"]
    return tuple(item.strip() for line in lines for item in line.split(","))


def _enumerated(items: list[str]) -> str:
    return capitalize(join_list(items)) + "."


_GAMES: dict[str, tuple[float, Callable[[_Game], None]]] = {
    "guess word": (16.0, _Game.guess_word),
    "guess animal": (12.0, _Game.guess_animal),
    "rhymes": (12.0, _Game.rhyme_chain),
    "opposites": (9.0, _Game.opposites),
    "counting": (7.0, _Game.count_with_me),
    "compare": (14.0, _Game.compare),
    "of three": (9.0, _Game.of_three),
    "lists": (21.0, _Game.lists),
}
_WEIGHTS = {name: weight for name, (weight, _) in _GAMES.items()}


def games(rng: Rng) -> list[Turn]:
    """Play a game."""
    game = _Game(rng)
    _GAMES[choose_weighted(rng, _WEIGHTS)][1](game)
    if len(game.turns) < MAX_TURNS and rng() < 0.15:
        game.add("thanks")
    return game.turns[:MAX_TURNS]


def asked_paths() -> dict[str, str]:
    """Return the animals that the guessing game ends at, by the answers that lead there.

    Raises ValueError if a question lacks one of its two answers.
    """
    tree = _tree()
    animals = {}
    for path, text in tree.items():
        below = [path + step in tree for step in "yn"]
        if any(below) and not all(below):
            raise ValueError(f"the question {text!r} lacks an answer")
        if not any(below):
            animals[path] = text
    return animals
