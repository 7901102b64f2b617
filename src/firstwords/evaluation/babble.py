"""Babble: answers that are no English answer, by plain rules.

`find_babble(prompt, answer)` names the first rule that an answer breaks. The rules see what an
attentive reader sees without knowing whether the answer is true: words that do not exist, phrases
that repeat, grammar that cannot be right, and answers about something else. They use the tables of
the package and no model, so the verdict is the same on every machine.

A rule should rather miss babble than call a good answer babble. So the share of answers that pass
is an upper bound: an answer that breaks no rule may still make no sense.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from firstwords.data.starter.tables import table_sections
from firstwords.data.starter.templates import article
from firstwords.evaluation.babble_words import (
    CONTRACTED,
    is_verb,
    is_word,
    plurals,
    singulars,
    stems,
    word_class,
)
from firstwords.tokenizer.chat_format import Messages

PROMPTS_PER_KIND = 30
MIN_REPEATS = 3  # of a phrase of three or more words
MIN_SHORT_REPEATS = 5  # of a word or two that are neither in the prompt nor a sound
MAX_WORDS_WITHOUT_VERB = 8  # in a sentence that is no list
MIN_RELATED_WORDS = 5  # an answer shorter than this need not name the thing asked about
MAX_TOPIC_WORDS = 2
MIN_WORDS_PER_NAME = 4  # that is in no table: "It is Uisna." is babble

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,:]\d+)*\w*")
SENTENCE_END = re.compile(r"[.!?]+[\"'”’)]*(?=\s|$)|\n+")
NOISE = re.compile(r"�|<\||\|>|</?tool_|[^\W\d_]*(\w)\1{4,}")  # or a letter five times in a row
ABOUT_LETTERS = re.compile(
    r"\b(?:letters?|vowels?|spell\w*|alphabet\w*|(?:begin|start|end)s? with)\b"
)
DO_NOT_KNOW = re.compile(
    r"\b(?:do not|don'?t|cannot|can'?t|can not|could not|am not) "
    r"(?:really |yet )?(?:know|sure|say|tell|understand|help)\b|\bnot sure\b|\bnever heard\b"
)
TOPIC = re.compile(
    r"^(?:please |pls |can you |could you )?(?:"
    r"tell me (?:something |a bit |more )?about|explain(?: what)?|describe|do you like|"
    r"what(?:'?s| is| are| was) (?:an? |the )?|who (?:is|was) |"
    r"(?:story|poem|song|tale) about|(?:write|make) (?:\w+ )*about"
    r")\s*(?P<topic>[^?.!,]+)"
)
SINGLE_LETTER_WORDS = ("a", "i", "o", "u", "r", "x", "y")  # u, r: as people type; x, y: unknowns
DETERMINERS = frozenset(("a", "an", "the"))
POSSESSIVES = frozenset(("my", "your", "our", "their"))
SUBJECTS = frozenset(("i", "he", "she", "we", "they"))
DISAGREEING = {
    "i": ("is", "are", "has"),
    **dict.fromkeys(("he", "she", "it"), ("am", "are", "have")),
    **dict.fromkeys(("you", "we", "they"), ("am", "is", "was", "has")),
}
SINGULAR_VERBS, PLURAL_VERBS = ("is", "was", "has"), ("are", "were", "have")


class Token(NamedTuple):
    """A word of an answer. `adjacent` says that only a space is between it and the one before."""

    text: str
    adjacent: bool

    @property
    def lower(self) -> str:
        return self.text.lower().replace("’", "'")


def find_babble(prompt: str, answer: str, cut: bool = False) -> str:
    """Return what makes an answer babble, as "KIND" or "KIND: DETAIL"; "" if no rule says so.

    `prompt` is the user's message, on its last line, with the messages before it if the answer may
    refer to them. `cut` says that the answer did not end by itself.
    """
    if not WORD.search(answer):
        return "empty"
    if cut:
        return "no end"
    about_letters = bool(ABOUT_LETTERS.search(f"{prompt} {answer}".lower()))
    return (
        _find_noise(prompt, answer)
        or _find_repetition(prompt, answer)
        or _find_unknown_word(prompt, answer, about_letters)
        or _find_broken_grammar(answer, about_letters)
        or _find_unfinished_sentence(answer, about_letters)
        or _find_missing_verb(answer)
        or _find_no_relation(prompt, answer)
    )


def _sentences(text: str) -> list[str]:
    return [part for part in SENTENCE_END.split(text) if WORD.search(part)]


def _tokens(text: str) -> list[Token]:
    tokens, end = [], -1
    for match in WORD.finditer(text):
        tokens.append(Token(match[0], end >= 0 and not text[end : match.start()].strip(" ")))
        end = match.end()
    return tokens


def _words(text: str) -> list[str]:
    return [token.lower for token in _tokens(text)]


# -- words and phrases -----------------------------------------------------------------------------


def _find_noise(prompt: str, answer: str) -> str:
    match = NOISE.search(answer)
    return f"noise: {match[0]}" if match and match[0].lower() not in prompt.lower() else ""


def _find_repetition(prompt: str, answer: str) -> str:
    words, harmless = _words(answer), {*_words(prompt), *word_class("sounds")}
    for size in range(1, len(words) // MIN_REPEATS + 1):
        repeats = MIN_REPEATS if size >= 3 else MIN_SHORT_REPEATS
        for first in range(len(words) - size * repeats + 1):
            phrase = words[first : first + size]
            if words[first : first + size * repeats] != phrase * repeats:
                continue
            if size >= 3 or not set(phrase) <= harmless:
                return f"repetition: {' '.join(phrase)}"
    sentences = Counter(" ".join(_words(one)) for one in _sentences(answer))
    text, count = sentences.most_common(1)[0]
    return f"repetition: {text}" if count >= MIN_REPEATS and text.count(" ") >= 3 else ""


def _find_unknown_word(prompt: str, answer: str, about_letters: bool) -> str:
    """Words with a capital may be names, unless there are too many; "Ann Lee" is one name."""
    asked, names, after_name = set(_words(prompt)), [], False
    for token in _tokens(answer):
        word, is_second, after_name = token.lower, after_name and token.adjacent, False
        in_prompt = {word, CONTRACTED.sub("", word), *stems(word)} & asked
        if token.text.islower() and len(word) == 1 and word not in SINGLE_LETTER_WORDS:
            if about_letters or in_prompt:
                continue
            return f"unknown word: {token.text}"
        if word[0].isdigit() or in_prompt or is_word(word):
            continue
        if not (token.text[0].isupper() and (token.text[1:].islower() or len(word) <= 5)):
            return f"unknown word: {token.text}"
        after_name = True
        if not is_second and token.text not in names:
            names.append(token.text)
    is_mostly_names = len(names) * MIN_WORDS_PER_NAME > len(_words(answer))
    return f"unknown words: {', '.join(names)}" if is_mostly_names else ""


# -- grammar ---------------------------------------------------------------------------------------


def _find_broken_grammar(answer: str, about_letters: bool) -> str:
    whole_words = re.sub(r"(?<=\w)-(?=\w)", "", answer)  # "a to-do list" has no "a to"
    for sentence in _sentences(whole_words):
        tokens = _tokens(sentence)
        for index, (first, second) in enumerate(pairwise(tokens)):
            problem = _broken_pair(first, second, about_letters) or _disagreement(tokens, index)
            if problem:
                return f"grammar: {problem}"
    return ""


def _broken_pair(first: Token, second: Token, about_letters: bool) -> str:
    """Return two words that cannot follow each other with only a space between them.

    In answers about letters, "a" is often no article.
    """
    a, b, pair = first.lower, second.lower, f"{first.text} {second.text}"
    if not second.adjacent or (about_letters and ("a" in (a, b) or len(b) == 1)):
        return ""
    is_misplaced_capital = second.text.istitle() and first.text.islower()
    if is_misplaced_capital and b in word_class("never a capital inside"):
        return pair
    if a == b:
        return pair if a in word_class("never doubled") else ""
    if b in SUBJECTS and a in ("of", "to", "with", "at"):
        return pair
    if a in DETERMINERS | POSSESSIVES and b in word_class("never after a determiner"):
        return "" if a in POSSESSIVES and b in ("and", "or") else pair  # "your and my house"
    if a not in DETERMINERS or second.text.isupper():
        return ""
    if b in DETERMINERS | POSSESSIVES:
        return pair
    return pair if a != "the" and _has_clear_onset(b) and a != article(b) else ""


def _has_clear_onset(word: str) -> bool:
    """Return whether it is certain that a word begins with a vowel sound, or that it does not."""
    unclear = ("h", "eu", "ew", "uk", "ub", "ur", "us", "ut", "uni", "one", "once", "y")
    return word.isalpha() and len(word) > 1 and not word.startswith(unclear)


def _disagreement(tokens: list[Token], index: int) -> str:
    """Return a subject and verb that disagree, where the subject begins a clause at `index`.

    Elsewhere, "what helps you is a rest" and "does it have" would look alike.
    """
    is_after_starter = index and tokens[index - 1].lower in word_class("clause starters")
    if index and not (is_after_starter and tokens[index].adjacent):
        return ""
    subject, verb = tokens[index].lower, tokens[index + 1].lower
    if tokens[index + 1].adjacent:
        if verb in DISAGREEING.get(subject, ()):
            return f"{subject} {verb}"
        if subject in SUBJECTS and verb in word_class("never after a subject"):
            return f"{subject} {verb}" if index + 2 < len(tokens) else ""
    phrase = tokens[index : index + 3]
    if (
        len(phrase) < 3
        or not all(token.adjacent for token in phrase[1:])
        or not _is_noun(phrase[1])
    ):
        return ""
    determiner, noun, verb = (token.lower for token in phrase)
    one = {"a", "an", "this", "every", "each"}
    many = {"these", "those", "many", "several"}
    either = DETERMINERS | POSSESSIVES | {"his", "her", "its"}
    is_one = determiner in one | either and noun in singulars() and verb in PLURAL_VERBS
    are_many = determiner in many | either and noun in plurals() and verb in SINGULAR_VERBS
    return f"{determiner} {noun} {verb}" if is_one or are_many else ""


def _is_noun(token: Token) -> bool:
    return token.text.islower()  # with a capital it may be a name: "the Netherlands is"


def _find_unfinished_sentence(answer: str, about_letters: bool) -> str:
    text = answer.strip()
    never_last = word_class("never last") | ({"a"} if not about_letters else set())
    for match in re.finditer(r"(?<=[a-z])[.!?](?:\s|$)", text):
        words = _words(text[: match.start()])
        if len(words) > 1 and words[-1] in never_last:
            return f"unfinished: {' '.join(words[-3:])}"
    last = _words(text)[-1]
    never_last_open = word_class("never last") | word_class("never last without a full stop")
    is_open = text[-1].isalpha() and last in never_last_open and text.count(" ") > 3
    return f"unfinished: {last}" if (text[-1] in ",;" or is_open) and not about_letters else ""


def _find_missing_verb(answer: str) -> str:
    """A phrase alone or a list is a good answer, so only plain sentences must have a verb."""
    for sentence in re.findall(r"[A-Z][^.!?\n,;:]*[.!]", answer):
        words = _words(sentence)
        if len(words) > MAX_WORDS_WITHOUT_VERB and not any(map(is_verb, words)):
            return f"no verb: {sentence}"
    return ""


# -- relation --------------------------------------------------------------------------------------


def _find_no_relation(prompt: str, answer: str) -> str:
    """An answer of some length to a question about a thing names it, or says "it" or "they"."""
    match = TOPIC.search(prompt.rpartition("\n")[2].lower())
    words = _words(answer)
    if not match or len(words) < MIN_RELATED_WORDS or DO_NOT_KNOW.search(answer.lower()):
        return ""
    phrase = _words(match["topic"])
    general = word_class("function words") | word_class("no topic")
    topic = [word for word in phrase if word.isalpha() and word not in general]
    is_thing = 0 < len(topic) <= MAX_TOPIC_WORDS and not set(phrase) & word_class("no thing")
    if not is_thing or not all(map(is_word, topic)):  # a name, or a word with a typing mistake
        return ""
    if set(words) & word_class("pronouns") or not any(map(is_verb, words)):
        return ""
    named = {stem for word in words for stem in (word, *stems(word))}
    is_named = any({word, *stems(word)} & named for word in topic)
    return "" if is_named else f"no relation: {' '.join(topic)}"


# -- the prompts -----------------------------------------------------------------------------------


@cache
def open_prompts() -> dict[str, tuple[Messages, ...]]:
    """Return the open prompts by kind, each as a conversation that ends with the user."""
    return {
        kind: tuple(list(_messages(line)) for line in lines)
        for kind, lines in table_sections("open_prompts.txt").items()
    }


def _messages(line: str) -> Iterator[dict[str, str]]:
    for number, content in enumerate(line.split(" => ")):
        yield {"role": "assistant" if number % 2 else "user", "content": content}
