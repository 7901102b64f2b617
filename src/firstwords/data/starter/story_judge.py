"""Judge a story that was told to order: is it about what was ordered, and consistent?"""

import re
from collections import Counter

MIN_SENTENCES = 3
MAX_CHARACTERS = 1500
_INTRODUCED = re.compile(r"\b([a-z-]+) (?:named|called) ([A-Z][a-z]+)\b")
# "Pip the fox", but not "gave Pip the key".
_GIVING_VERBS = ("gave", "given", "told", "lent", "showed", "brought", "made")
_GIVING = "".join(f"(?<!{verb} )" for verb in _GIVING_VERBS)
_APPOSITION = re.compile(rf"\b{_GIVING}([A-Z][a-z]+) the ([a-z-]+)\b")
_SENTENCE = re.compile(r"(?<=[.!?])[\"']? +")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_PRONOUN = re.compile(r"\b(he|she)\b")


def is_good_tale(expected: tuple[str, ...], answer: str) -> bool:
    """Return whether the answer is a finished, consistent story about what was ordered.

    `expected` has the subjects, joined by "|", the hero's name and the hero's pronoun; the last two
    may be empty. The story mentions every subject in its first sentences, keeps the hero's name to
    the end, gives no name to two characters and no character two kinds or both pronouns, repeats no
    sentence and ends with a whole one.
    """
    subjects, name, pronoun = expected
    body = answer.rpartition("\n\n")[2].strip()
    sentences = [one for one in _SENTENCE.split(body) if one]
    if len(sentences) < MIN_SENTENCES or len(body) > MAX_CHARACTERS:
        return False
    if body[-1] not in '.!?"' or _repeats_itself(sentences):
        return False
    beginning = _plain(" ".join(sentences[:5]))
    if not all(
        f" {_plain(one).strip()} " in beginning or f" {_plain(one).strip()}s " in beginning
        for one in subjects.split("|")
        if one
    ):
        return False
    return _keeps_names(body, name) and _keeps_pronoun(sentences, _hero(body, name), pronoun)


def _plain(text: str) -> str:
    return f" {' '.join(re.findall(r'[a-z]+', text.lower()))} "


def _repeats_itself(sentences: list[str]) -> bool:
    counts = Counter(one for one in sentences if len(one) > 30)
    return any(count > 1 for count in counts.values())


def _hero(body: str, name: str) -> str:
    """Return the name of the hero: the one ordered, or else the most frequent one."""
    found = Counter(_NAME.findall(body)).most_common(1)
    return name or (found[0][0] if found else "")


def _keeps_names(body: str, name: str) -> bool:
    """Return whether each name has one kind, is given once, and the hero's comes again."""
    given = _INTRODUCED.findall(body)
    names = [who for _, who in given]
    if len(set(names)) < len(names):
        return False
    kinds: dict[str, set[str]] = {}
    for kind, who in given + [(kind, who) for who, kind in _APPOSITION.findall(body)]:
        if who in names or who == name:
            kinds.setdefault(who, set()).add(kind)
    if any(len(found) > 1 for found in kinds.values()):
        return False
    hero = _hero(body, name)
    return not hero or len(re.findall(rf"\b{hero}\b", body)) >= 2


def _keeps_pronoun(sentences: list[str], hero: str, pronoun: str) -> bool:
    """Return whether the sentences that name only the hero refer to it by one pronoun."""
    if not hero:
        return True
    names = {who for one in sentences for who in _NAME.findall(one)}
    counts: Counter[str] = Counter()
    for one in sentences:
        own = hero in one and not any(other in one for other in names - {hero})
        after = one.partition(hero)[2].partition('"')[0] if own else ""
        counts.update(_PRONOUN.findall(after)[:1])
    if not counts:
        return True
    (most, count), *others = counts.most_common()
    if pronoun and most != pronoun:
        return False
    return not others or others[0][1] * 2 < count
