"""Questions about letters: spelling, counting, order, rhymes."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords.data.starter.fact_questions import as_typed
from firstwords.data.starter.rng import Rng, choose, randint, sample
from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import article, join_list, make_answer, make_sentence
from firstwords.data.starter.turn import Turn
from firstwords.data.starter.words import (
    ORDINALS,
    number_in_words,
    rhymes,
    spelled_words,
    vocabulary,
)

# The letters whose names begin with a vowel sound: "an a", "an f", but "a b", "a u".
_AN_LETTERS = frozenset("aefhilmnorsx")


class LetterQuestion(NamedTuple):
    """A question about letters, with its answer as a sentence."""

    question: str
    answer: str
    value: str  # the answer alone
    number: str = ""  # the answer in digits, if it is a count


def letter_with_article(letter: str) -> str:
    """Return the name of a letter with its article: 'a b', 'an e'."""
    return f"{'an' if letter in _AN_LETTERS else 'a'} {letter}"


def _word(rng: Rng, held_out: bool, longest: int = 10) -> str:
    """Return a word of three to `longest` letters, held out for the exam or not."""
    while True:
        word = choose(rng, spelled_words(held_out))
        if 3 <= len(word) <= longest:
            return word


def quoted(word: str) -> str:
    """Return a word in quotation marks.

    They separate the word from the space before it: " bread" is another token than "bread". Answers
    therefore write a word as the question does, so that they copy its tokens.
    """
    return f'"{word}"'


def maybe_quoted(rng: Rng, word: str, held_out: bool = False) -> str:
    """Return a word as people write it when they ask about it, in quotation marks or not. The
    exam's are mostly in quotation marks."""
    return quoted(word) if rng() < (0.9 if held_out else 0.4) else word


def _make_question(
    rng: Rng, name: str, value: str, held_out: bool = False, **slots: str
) -> LetterQuestion:
    wording = table_sections("talk.txt")
    slots["v"] = value
    asked = wording[f"{name} ask"]
    if not held_out:
        asked += wording.get(f"{name} ask typed", ())
    return LetterQuestion(
        make_sentence(rng, asked, slots),
        make_answer(rng, wording[f"{name} answer"], slots),
        value,
    )


def _make_word_question(
    rng: Rng, name: str, word: str, value: str, held_out: bool = False, **slots: str
) -> LetterQuestion:
    """Return a question about the letters of a word."""
    slots["s"] = maybe_quoted(rng, word, held_out)
    return _make_question(rng, name, value, held_out, **slots)


def spelling(rng: Rng, held_out: bool = False) -> LetterQuestion:
    """Return the question how a word is spelled."""
    word = _word(rng, held_out)
    return _make_word_question(rng, "spell", word, "-".join(word), held_out)


def _word_and_letter(rng: Rng, held_out: bool) -> tuple[str, str, int]:
    """Return a word, a letter, and its count: 0, 1 and more are equally likely."""
    target = randint(rng, 0, 2)
    while True:
        word = _word(rng, held_out)
        letter = choose(rng, word if target else "abcdefghilmnoprstuw")
        count = word.count(letter)
        if min(count, 2) == target and count <= 4:
            return word, letter, count


def count_letter(rng: Rng, held_out: bool = False) -> LetterQuestion:
    """Return the question how often a letter is in a word.

    The answer counts while it spells: 'b-a1-n-a2-n-a3'.
    """
    word, letter, count = _word_and_letter(rng, held_out)
    times = {0: "no", 1: "one", 2: "two", 3: "three", 4: "four"}[count]
    name = letter if count == 1 else f"{letter}'s"
    verb = "is" if count == 1 else "are"
    row = [one + str(word[: i + 1].count(letter)) * (one == letter) for i, one in enumerate(word)]
    slots = {"l": letter, "ls": name, "isv": verb, "row": "-".join(row)}
    question = _make_word_question(rng, "howmany", word, times, held_out, **slots)
    return question._replace(number=str(count))


def length(rng: Rng) -> LetterQuestion:
    """Return the question how many letters a word has."""
    word = _word(rng, False, 8)
    row = "-".join(f"{letter}{place}" for place, letter in enumerate(word, start=1))
    return _make_word_question(rng, "length", word, number_in_words(len(word)), row=row)


def letter_at_place(rng: Rng) -> LetterQuestion:
    """Return the question what the first, second, third or last letter of a word is."""
    word = _word(rng, False)
    at = choose(rng, (0, 0, -1, -1, 1, 2))
    place = "last" if at < 0 else ORDINALS[at]
    return _make_word_question(rng, "place", word, word[at], place=place)


def backwards(rng: Rng) -> LetterQuestion:
    """Return the question how a short word is spelled backwards."""
    word = _word(rng, False, 5)
    while word[::-1] in vocabulary():  # "rats" would spell "star", which may be held out
        word = _word(rng, False, 5)
    return _make_word_question(rng, "reverse", word, "-".join(word[::-1]), row="-".join(word))


def order(rng: Rng) -> LetterQuestion:
    """Return the question how words are ordered alphabetically."""
    words = sample(rng, spelled_words(False), randint(rng, 2, 3))
    return _make_question(rng, "order", ", ".join(sorted(words)), s=join_list(words))


def begins(rng: Rng) -> LetterQuestion:
    """Return the request for a word that begins with a letter."""
    word = _word(rng, False)
    return _make_question(rng, "begins", word, l=letter_with_article(word[0]))


def rhyme(rng: Rng) -> LetterQuestion:
    """Return the request for a word that rhymes with another."""
    one, other = sample(rng, choose(rng, rhymes()), 2)
    return _make_question(rng, "rhyme", other, s=one)


_QUESTION_MAKERS: tuple[Callable[[Rng], LetterQuestion], ...] = (
    spelling,
    spelling,
    spelling,
    count_letter,
    count_letter,
    length,
    letter_at_place,
    backwards,
    order,
    begins,
    rhyme,
)


def letter_question(rng: Rng) -> LetterQuestion:
    """Return a random question about letters."""
    return choose(rng, _QUESTION_MAKERS)(rng)


def describe_word(rng: Rng) -> str:
    """Return several statements about the letters of one word."""
    word = _word(rng, False)
    slots = {
        "s": maybe_quoted(rng, word),
        "spelled": "-".join(word),
        "n": number_in_words(len(word)),
        "first": word[0],
        "last": word[-1],
        "back": "-".join(word[::-1]),
        "an": article(word),
    }
    wording = table_sections("talk.txt")
    kinds = sample(rng, ("spell", "length", "first", "last"), randint(rng, 2, 3))
    if len(word) <= 5 and word[::-1] not in vocabulary() and rng() < 0.4:
        kinds.append("back")
    return " ".join(make_sentence(rng, wording[f"letters {kind}"], slots) for kind in kinds)


def spelling_bee(rng: Rng) -> str:
    """Return the spelling of several words."""
    return " ".join(spelling(rng).answer for _ in range(randint(rng, 7, 12)))


def page(rng: Rng) -> str:
    """Return a page about the letters of several words."""
    if rng() < 0.5:
        return spelling_bee(rng)
    parts = []
    for _ in range(randint(rng, 2, 4)):
        parts.append(describe_word(rng))
        if rng() < 0.6:
            parts.append(letter_question(rng).answer)
    return " ".join(parts)


def letter_turn(rng: Rng) -> Turn:
    """Ask a random question about letters."""
    question = letter_question(rng)
    typed = as_typed(rng, question.question)
    return Turn(typed, question.answer, "answers", (question.value,))


def spelling_turn(rng: Rng, held_out: bool = False) -> Turn:
    """Ask how a word is spelled."""
    question = spelling(rng, held_out)
    return Turn(question.question, question.answer, "spells", (question.value,))


def count_turn(rng: Rng, held_out: bool = False) -> Turn:
    """Ask how often a letter is in a word."""
    question = count_letter(rng, held_out)
    return Turn(question.question, question.answer, "last_number", (question.number,))
