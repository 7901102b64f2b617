import re


def contaminated(questions: list[str], training: list[str], n: int) -> list[bool]:
    texts = [_words(text) for text in training]
    seen = {size: {s for text in texts for s in _stretches(text, size)} for size in range(1, n + 1)}
    found = []
    for words in map(_words, questions):
        size = min(n, len(words))
        found.append(any(stretch in seen[size] for stretch in _stretches(words, size)))
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _stretches(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
