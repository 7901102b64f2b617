"""Questions that cannot be answered: about invented names, or things the user has not said."""

from functools import cache

from firstwords.data.starter.fact_questions import fact_turn
from firstwords.data.starter.holdout import is_held_out
from firstwords.data.starter.rng import Rng, choose, randint
from firstwords.data.starter.small_talk import scripted_turn
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import article, capitalize, make_answer, make_sentence
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.words import vocabulary

_ONSETS = (
    "b bl br c cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr qu r s sk sl sn spl st t tr v w z"
)
_VOWELS = "a e i o u oo a e o u ai ee au"
_CODAS = "b ck d f g k l lm m mp n ng nk p r rk rt s sk t v x z"


@cache
def _real_words() -> frozenset[str]:
    return frozenset(vocabulary())


def invented_word(rng: Rng, held_out: bool) -> str:
    """Return a word that does not exist, such as 'blorvim'."""
    while True:
        syllables = [choose(rng, _ONSETS.split()) + choose(rng, _VOWELS.split()) for _ in range(2)]
        word = "".join(syllables) + choose(rng, _CODAS.split())
        if word not in _real_words() and is_held_out("unknown", word) == held_out:
            return word


def invented_name_turn(rng: Rng, held_out: bool = False) -> Turn:
    """Ask about a country, animal, element or person that does not exist."""
    kind = choose(rng, ("country", "country", "animal", "element", "person"))
    name = invented_word(rng, held_out)
    if kind == "country":
        name = capitalize(name) + choose(rng, ("ia", "land", "stan", "a", ""))
    elif kind == "element":
        name += "ium"
    elif kind == "person":
        name = f"{capitalize(name)} {capitalize(invented_word(rng, held_out))}"
    wording = table_sections("talk.txt")
    question = make_sentence(rng, wording[f"{kind} unknown ask"], {"s": name})
    name_in_answer = f"{article(name)} {name}" if kind == "animal" else name
    answer = make_answer(rng, wording["unknown answer"], {"s": name_in_answer})
    return Turn(question, answer, "refuses")


_NOT_TOLD = (
    "I do not know. You have not told me[| yet].",
    "You have not told me[ that|] yet, so I do not know.",
)


def unknown(rng: Rng) -> list[Turn]:
    """Ask for something that does not exist or cannot be known, sometimes beside a real fact."""
    chance = rng()
    if chance < 0.15:
        turns = [scripted_turn(rng, "cannot")]
    elif chance < 0.3:
        detail = choose(rng, ("name", "age", "colour", "home", "likes"))
        wording = table_sections("talk.txt")[f"{detail} ask"]
        question = make_sentence(rng, wording, {"v": "", "k": "pet"})
        turns = [Turn(question, make_answer(rng, _NOT_TOLD), "refuses")]
    else:
        turns = [invented_name_turn(rng)]
    if rng() < 0.4:
        turns.insert(randint(rng, 0, 1), fact_turn(rng))
    return turns
